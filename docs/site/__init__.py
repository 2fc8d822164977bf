"""The static site: the lessons with their outputs, the glossary, the causes, the commands, and the pages of docs/.

`make site` (`python -m docs.site`) writes it to build/site/html. A reader needs no network: scripts, the search and the
pictures are files of the site. pages.py lays Markdown pages into build/site/source. Sphinx makes HTML of them, as
conf.py says. Then links.py looks at every link and anchor of the HTML.
"""
