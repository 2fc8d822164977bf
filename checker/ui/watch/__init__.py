"""`kubeclass class watch`: the teacher's page, which follows a class as it works.

view.py says what is on the page, server.py serves it on loopback, and page.html, page.css and page.js show it.
"""
