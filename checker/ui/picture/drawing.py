"""Where things are on the picture, and the picture as SVG and as text. A Pod keeps its place as long as it lives."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

from checker.model.catalogue import say
from checker.ui.picture.scene import BROKEN, Item, NodeItem, Scene, ServiceItem

# In the SVG's own units.
# Beside each Pod is room for the lines that lead to it, and under each Service for what is wrong with it.
GAP, BOX_W, BOX_H, ROOM_BESIDE, ROOM_UNDER = 12, 142, 44, 26, 20
HEAD = 46  # height of a node's own words
LETTERS = 19  # that fit into a box
COLUMNS = {"control-plane": 1, "worker": 2}  # of Pods in a node
UNPLACED = "unplaced"
COLOURS = {"well": "#1b6e2d", "waiting": "#7a5200", "broken": "#b3261e", "leaving": "#5f6368"}
LINE = "#444444"

Shape = dict[str, Any]


@dataclass
class Places:
    """Which slot of its node each Pod has. Slots that become free are given to the next one; nobody else moves."""

    slots: dict[str, dict[str, int]] = field(default_factory=dict)  # place: id of a Pod: slot

    def of(self, place: str, ids: list[str]) -> dict[str, int]:
        """The slots of the Pods that are in this place now."""
        kept = {one: slot for one, slot in self.slots.get(place, {}).items() if one in ids}
        free = (slot for slot in range(len(ids) + max(kept.values(), default=0) + 1) if slot not in kept.values())
        kept |= {one: next(free) for one in ids if one not in kept}
        self.slots[place] = kept
        return kept


def laid_out(scene: Scene, places: Places) -> dict[str, Any]:
    """The picture as plain data: its size, the shapes with their places, and the lines between them."""
    width = GAP + sum(_width(node) + GAP for node in scene.nodes) if scene.nodes else 4 * (BOX_W + GAP)
    across = (width - GAP) // (BOX_W + GAP)
    shapes: list[Shape] = []

    pitch = BOX_H + ROOM_UNDER
    for number, service in enumerate(scene.services):
        row, column = divmod(number, across)
        shapes.append(_shape(service, GAP + column * (BOX_W + GAP), GAP + row * pitch))
    top = GAP + -(-len(scene.services) // across) * pitch + (GAP if scene.services else 0)

    slots = {node.id: places.of(node.id, [pod.id for pod in node.pods]) for node in scene.nodes}
    rows = max((slots[node.id][pod.id] // _columns(node) + 1 for node in scene.nodes for pod in node.pods), default=1)
    left = GAP
    for node in scene.nodes:
        shapes.append(_shape(node, left, top, _width(node), HEAD + rows * (BOX_H + GAP)))
        for pod in node.pods:
            row, column = divmod(slots[node.id][pod.id], _columns(node))
            x, y = left + GAP + column * (BOX_W + ROOM_BESIDE), top + HEAD + row * (BOX_H + GAP)
            shapes.append(_shape(pod, x, y, gates=scene.gates.get(pod.id, ())))
        left += _width(node) + GAP
    bottom = top + HEAD + rows * (BOX_H + GAP) + GAP

    notes = []
    if scene.unplaced:
        notes.append({"x": GAP, "y": bottom + 12, "text": say("picture-unplaced-heading"), "broken": False})
        taken, bottom = places.of(UNPLACED, [pod.id for pod in scene.unplaced]), bottom + 20
        for pod in scene.unplaced:
            row, column = divmod(taken[pod.id], across)
            shapes.append(
                _shape(
                    pod, GAP + column * (BOX_W + GAP), bottom + row * (BOX_H + GAP), gates=scene.gates.get(pod.id, ())
                )
            )
        bottom += (max(taken.values()) // across + 1) * (BOX_H + GAP)
    for problem in scene.broken:
        bottom += 16
        notes.append({"x": GAP, "y": bottom - 4, "text": f"✘ {problem}", "broken": True})

    at = {shape["id"]: shape for shape in shapes}
    return {
        "namespace": scene.namespace,
        "label": say("picture-namespace", namespace=scene.namespace),
        "objects": say("picture-objects", number=len(shapes), namespace=scene.namespace),
        "width": width,
        "height": bottom + GAP,
        "shapes": shapes,
        "notes": notes,
        "lines": [line for number, service in enumerate(scene.services) for line in _lines(service, number, at, top)],
        "broken": list(scene.broken),
        "text": text(scene),
    }


def _columns(node: NodeItem) -> int:
    return COLUMNS["control-plane" if node.is_control_plane else "worker"]


def _width(node: NodeItem) -> int:
    return GAP + _columns(node) * (BOX_W + ROOM_BESIDE)


def _shape(item: Item, x: int, y: int, w: int = BOX_W, h: int = BOX_H, gates: tuple[str, ...] = ()) -> Shape:
    more = [(say("picture-detail-policies"), ", ".join(gates))] if gates else []
    more += [(say("picture-detail-broken"), item.fault)] if item.fault else []
    return {
        "id": item.id,
        "kind": item.kind,
        "name": item.name,
        "tone": item.tone,
        "x": x,
        "y": y,
        "w": w,
        "h": h,
        "gate": bool(gates),
        "lines": [_cut(line, w * LETTERS // BOX_W) for line in item.lines],
        "fault": item.fault,
        "details": [list(pair) for pair in (*item.details, *more)],
        "command": item.command,
    }


def _cut(line: str, letters: int) -> str:
    return line if len(line) <= letters else line[: letters - 1] + "…"


def _lines(service: ServiceItem, number: int, at: dict[str, Shape], top: int) -> list[dict[str, Any]]:
    """From a Service to the Pods that it sends requests to.

    The lines run between the boxes, each Service's a little apart from the others'.

    Those of a Service that does not work are broken, and the first says why; it may lead nowhere.
    """
    box, apart = at[service.id], number % 4 * 3
    x, y = box["x"] + box["w"], box["y"] + box["h"] // 2
    street, down = top - 4 - apart, x + 3 + apart // 2
    label = f"✘ {_cut(service.fault, LETTERS + 3)}" if service.fault else ""
    start = f"M{x} {y}H{down}V{street}"
    ends = []
    for to in service.sends_to:
        pod = at[to]
        edge = pod["x"] + pod["w"]
        ends.append((to, f"{start}H{edge + 8 + apart}V{pod['y'] + pod['h'] // 2}H{edge}m5 -4l-5 4l5 4"))
    if service.fault and not ends:
        ends.append(("nowhere", start))
    under = {"x": box["x"] + 4, "y": box["y"] + box["h"] + 14}
    return [
        {
            "id": f"{service.id} {to}",
            "path": path,
            "broken": bool(service.fault),
            "label": "" if number else label,
            **under,
        }
        for number, (to, path) in enumerate(ends)
    ]


def svg(drawn: dict[str, Any]) -> str:
    """The same picture, still: for exports, GitHub, and wherever no kernel is. What is broken is told in words, too."""
    size = f'viewBox="0 0 {drawn["width"]} {drawn["height"]}" width="{drawn["width"]}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{html.escape(drawn["text"])}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{drawn["width"]}" height="{drawn["height"]}" fill="#ffffff"/>',
    ]
    for shape in sorted(drawn["shapes"], key=lambda shape: shape["kind"] != "Node"):
        parts += _svg_of(shape)
    for line in drawn["lines"]:
        colour, dash = (COLOURS[BROKEN], ' stroke-dasharray="4 3"') if line["broken"] else (LINE, "")
        parts.append(f'<path d="{line["path"]}" stroke="{colour}"{dash} fill="none"/>')
        parts.append(_words(line["x"], line["y"], line["label"], f'fill="{colour}"'))
    for note in drawn["notes"]:
        parts.append(
            _words(note["x"], note["y"], note["text"], f'fill="{COLOURS[BROKEN] if note["broken"] else LINE}"')
        )
    return "".join([*parts, "</svg>"])


def _svg_of(shape: Shape) -> list[str]:
    x, y, colour, is_node = shape["x"], shape["y"], COLOURS[shape["tone"]], shape["kind"] == "Node"
    dash = "" if is_node or shape["tone"] == "well" else ' stroke-dasharray="4 3"'
    radius, fill = (20 if shape["kind"] == "Service" else 4), ("#f5f5f5" if is_node else "#ffffff")
    parts = [
        f'<rect x="{x}" y="{y}" width="{shape["w"]}" height="{shape["h"]}"'
        f' rx="{radius}" fill="{fill}" stroke="{colour}"{dash}/>'
    ]
    if shape["gate"]:
        parts.append(f'<path d="M{x + 3} {y + 6}v{shape["h"] - 12}" stroke="{LINE}" stroke-width="3"/>')
    name, state = shape["lines"]
    return [
        *parts,
        _words(x + 10, y + 18, name, 'font-weight="bold"'),
        _words(x + 10, y + 34, state, f'fill="{colour}"'),
    ]


def _words(x: int, y: int, words: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" {style}>{html.escape(words)}</text>' if words else ""


def text(scene: Scene) -> str:
    """The picture in words: for plain terminals, and for screen readers."""
    names = {pod.id: pod.name for pod in scene.pods}
    lines = [say("picture-namespace", namespace=scene.namespace)]
    for service in scene.services:
        to = sorted(names[one] for one in service.sends_to)
        words = say("picture-service", name=service.name, state=service.lines[1], pods=to)
        lines.append(f"  {words}{_fault_line(service)}")
    for node in scene.nodes:
        lines.append(f"  {say('picture-node', name=node.name, state=node.lines[1])}{_fault_line(node)}")
        lines += [_line(scene, pod) for pod in node.pods]
    if scene.unplaced:
        lines += [f"  {say('picture-unplaced')}", *(_line(scene, pod) for pod in scene.unplaced)]
    return "\n".join([*lines, *(f"  ✘ {problem}" for problem in scene.broken)])


def _line(scene: Scene, pod: Item) -> str:
    words = say("picture-pod", name=pod.name, state=pod.lines[1], policies=scene.gates.get(pod.id, ()))
    return f"    {words}{_fault_line(pod)}"


def _fault_line(item: Item) -> str:
    return f"  ✘ {item.fault}" if item.fault else ""
