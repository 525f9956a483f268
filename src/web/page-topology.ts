/** Browser script: draws the topology as SVG, nodes on an ellipse in the order of the ring. Defines `drawTopology`. */

/** Script text. */
export const TOPOLOGY_SCRIPT: string = String.raw`
const SVG = 'http://www.w3.org/2000/svg';

function svg(tag, attributes, text) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

function cut(text, length) {
  return text.length > length ? text.slice(0, length - 1) + '…' : text;
}

function gigabytes(megabytes) {
  if (!(megabytes > 0)) return 'memory unknown';
  return megabytes >= 1024 ? Math.round(megabytes / 1024) + ' GB' : megabytes + ' MB';
}

// The layers of the model that is chosen in the chat box: in its last answer, and before the first in a split.
function shareOf(status, id) {
  const chosen = document.getElementById('model').value;
  const model = status.models.find((one) => one.id === chosen) || status.models[0];
  if (!model) return 'no model';
  const plan = status.plans.filter((one) => one.model === model.id).pop();
  // Without a ring each node saw to it itself, by the shares of a split.
  const last = plan && plan.ring !== null && model.n_layers !== null ? plan : undefined;
  const shard = (last ? last.ring : model.shards).find((one) => one.node_id === id);
  if (!shard) return 'no layers of ' + model.id;
  const isOne = shard.start_layer === shard.end_layer;
  const range = isOne ? shard.start_layer : shard.start_layer + '–' + shard.end_layer;
  const what = last ? (isOne ? 'layer ' : 'layers ') : 'if split: ';
  return what + range + ' (of ' + model.n_layers + ')';
}

// Ring order first, so that neighbours in the drawing are neighbours in the ring; then the rest by id.
function orderedIds(topology) {
  const ring = topology.partitions.map((part) => part.node_id).filter((id) => Object.hasOwn(topology.nodes, id));
  const rest = Object.keys(topology.nodes).filter((id) => !ring.includes(id)).sort();
  return ring.concat(rest);
}

// One line for each pair, with an arrow at each end that has an edge.
function pairs(topology) {
  const found = new Map();
  for (const edges of Object.values(topology.peer_graph)) {
    for (const edge of edges) {
      const forward = edge.from_id < edge.to_id;
      const a = forward ? edge.from_id : edge.to_id;
      const b = forward ? edge.to_id : edge.from_id;
      const key = JSON.stringify([a, b]);
      const pair = found.get(key) || { a, b, toA: false, toB: false, words: new Set() };
      if (forward) pair.toB = true;
      else pair.toA = true;
      if (edge.description) pair.words.add(edge.description);
      found.set(key, pair);
    }
  }
  return Array.from(found.values());
}

// The point where the line from the middle of a box towards another point leaves the box.
function border(from, to, halfWidth, halfHeight) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const reach = Math.max(Math.abs(dx) / (halfWidth + 5), Math.abs(dy) / (halfHeight + 5), 0.001);
  return { x: from.x + dx / reach, y: from.y + dy / reach };
}

// Where each node goes: round a ring from the top, in rows of equal height so that boxes never overlap.
function arrange(ids, width, box) {
  const places = new Map();
  const count = ids.length;
  const beside = count === 2 && width >= 560;
  const rowHeight = box.height + (count <= 5 ? 84 : 30);
  const rx = (width - box.width) / 2 - 6;
  ids.forEach((id, index) => {
    const angle = (beside ? Math.PI : -Math.PI / 2) + (index / count) * 2 * Math.PI;
    const side = Math.abs(Math.cos(angle)) < 1e-9 ? 0 : Math.sign(Math.cos(angle));
    const x = side * Math.max(Math.abs(rx * Math.cos(angle)), box.width / 2 + 8);
    const row = beside ? 0 : Math.min(index, count - index);
    places.set(id, { x: width / 2 + (count === 1 ? 0 : x), y: 8 + box.height / 2 + row * rowHeight });
  });
  const rows = beside ? 1 : Math.floor(count / 2) + 1;
  return { places, height: 16 + box.height + (rows - 1) * rowHeight };
}

function drawTopology(container, status) {
  const topology = status.topology;
  const ids = orderedIds(topology);
  const width = Math.max(280, container.clientWidth || 600);
  const box = { width: Math.min(190, width * 0.42), height: 66 };
  const { places, height } = arrange(ids, width, box);
  const picture = svg('svg', {
    viewBox: '0 0 ' + width + ' ' + height, height, role: 'img',
    'aria-label': ids.length === 1 ? 'Mesh of one node' : 'Mesh of ' + ids.length + ' nodes',
  });
  const defs = svg('defs', {});
  const arrow = svg('marker', {
    id: 'arrow', viewBox: '0 0 10 10', refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: 'auto-start-reverse',
  });
  arrow.append(svg('path', { d: 'M0 0L10 5L0 10z', class: 'arrow' }));
  defs.append(arrow);
  picture.append(defs);
  const labels = [];
  for (const pair of pairs(topology)) {
    const a = places.get(pair.a);
    const b = places.get(pair.b);
    if (a === undefined || b === undefined || pair.a === pair.b) continue;
    const start = border(a, b, box.width / 2, box.height / 2);
    const end = border(b, a, box.width / 2, box.height / 2);
    const line = svg('line', { x1: start.x, y1: start.y, x2: end.x, y2: end.y, class: 'edge' });
    if (pair.toB) line.setAttribute('marker-end', 'url(#arrow)');
    if (pair.toA) line.setAttribute('marker-start', 'url(#arrow)');
    const words = Array.from(pair.words).join(' / ');
    line.append(svg('title', {}, pair.a + ' – ' + pair.b + ': ' + words));
    picture.append(line);
    // Not all in the middle, where labels of crossing or neighbouring lines would cover each other.
    const at = ids.length === 2 ? 0.5 : labels.length % 2 === 0 ? 0.34 : 0.68;
    if (ids.length <= 5) {
      labels.push(svg('text', {
        x: start.x + (end.x - start.x) * at, y: start.y + (end.y - start.y) * at - (ids.length === 2 ? 6 : -4),
        class: 'edge-label',
      }, cut(words, 34)));
    }
  }
  for (const label of labels) picture.append(label);
  for (const id of ids) picture.append(drawNode(status, id, places.get(id), box));
  container.replaceChildren(picture);
}

function drawNode(status, id, place, box) {
  const capabilities = status.topology.nodes[id];
  const self = id === status.topology.self_id;
  const active = id === status.topology.active_node_id;
  const letters = Math.floor((box.width - 12) / 8);
  const group = svg('g', { class: 'node' + (self ? ' self' : '') + (active ? ' active' : '') });
  const lines = [
    [cut(self ? id + ' (this)' : id, letters), 'name'],
    [cut(capabilities.model, letters - 6) + ' · ' + gigabytes(capabilities.memory), 'dim'],
    [shareOf(status, id), ''],
  ];
  group.append(svg('title', {}, [
    id + (self ? ' (this node)' : '') + (active ? ', working on a prompt' : ''),
    capabilities.model + ', ' + capabilities.chip + ', ' + gigabytes(capabilities.memory),
    shareOf(status, id),
  ].join('\n')));
  group.append(svg('rect', {
    x: place.x - box.width / 2, y: place.y - box.height / 2, width: box.width, height: box.height, rx: 9,
  }));
  lines.forEach(([text, style], index) => {
    group.append(svg('text', { x: place.x, y: place.y - 14 + index * 18, class: style }, text));
  });
  return group;
}
`;
