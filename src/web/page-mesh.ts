/** Browser script: follows `/v1/events` and fills header, peers, tunnels, warnings and the model picker. */

/** Script text. */
export const MESH_SCRIPT: string = `
const byId = (id) => document.getElementById(id);
let latest;

function make(tag, style, text) {
  const element = document.createElement(tag);
  if (style) element.className = style;
  if (text !== undefined) element.textContent = text;
  return element;
}

function showSelf(status) {
  const ids = Object.keys(status.topology.nodes).length;
  byId('self').textContent =
    status.self.id + ' · ' + status.version + ' · ' + ids + (ids === 1 ? ' node' : ' nodes') +
    ' · port ' + status.self.node_port;
  document.title = 'exo – ' + status.self.id;
}

const KNOWN_STATES = ['connecting', 'alive', 'suspect', 'dead', 'left'];

function showPeers(status) {
  const items = status.peers.map((peer) => {
    const item = make('li');
    item.append(make('strong', '', peer.id));
    item.append(make('span', 'tag ' + (KNOWN_STATES.includes(peer.state) ? peer.state : ''), peer.state));
    if (peer.protocol === 'legacy') item.append(make('span', 'tag', 'original exo'));
    const facts = [
      peer.address,
      peer.direction === 'out' ? 'dialled from here' : 'dialled from there',
      peer.description,
      peer.rtt_ms === null ? 'round trip unknown' : peer.rtt_ms.toFixed(1) + ' ms',
    ];
    item.append(make('div', 'muted', facts.filter(Boolean).join(' · ')));
    if (peer.state !== 'alive' && peer.reason) item.append(make('div', 'muted', peer.reason));
    return item;
  });
  byId('peers').replaceChildren(...(items.length > 0 ? items : [make('li', 'muted', 'No peers yet.')]));
}

// In the colours of the states of a peer.
const TUNNEL_TAGS = { up: 'alive', failed: 'dead', stopped: 'left' };

function showTunnels(status) {
  byId('tunnels-card').hidden = status.tunnels.length === 0;
  byId('tunnels').replaceChildren(...status.tunnels.map((tunnel) => {
    const item = make('li');
    item.append(make('strong', '', tunnel.name));
    item.append(make('span', 'tag ' + (TUNNEL_TAGS[tunnel.state] || 'suspect'), tunnel.state));
    const forwards = tunnel.forwards.map((forward) => '-' + forward.kind + ' ' + forward.text).join(' ');
    const rtt = tunnel.rtt_ms === null ? '' : tunnel.rtt_ms.toFixed(1) + ' ms';
    item.append(make('div', 'muted', [tunnel.destination, forwards, rtt].filter(Boolean).join(' · ')));
    if (tunnel.state !== 'up' && tunnel.reason) item.append(make('div', 'muted', tunnel.reason));
    return item;
  }));
}

function showProblems(status) {
  const warnings = status.warnings.map((warning) => {
    const item = make('li');
    item.append(make('strong', '', warning.message), make('span', 'tag warning', warning.code));
    return item;
  });
  const refusals = status.refusals.slice(-20).reverse().map((refusal) => {
    const item = make('li');
    item.append(make('strong', '', refusal.subject), make('span', 'tag', refusal.module));
    item.append(make('div', 'muted', refusal.reason));
    return item;
  });
  const items = warnings.concat(refusals);
  byId('problems').replaceChildren(...(items.length > 0 ? items : [make('li', 'muted', 'None.')]));
}

function showModels(status) {
  const picker = byId('model');
  const wanted = status.models.map((model) => model.id + (model.ready ? '' : ' (not ready)'));
  const shown = Array.from(picker.options, (option) => option.textContent);
  if (JSON.stringify(wanted) === JSON.stringify(shown)) return;
  const chosen = picker.value;
  picker.replaceChildren(...status.models.map((model, index) => {
    const option = make('option', '', wanted[index]);
    option.value = model.id;
    option.disabled = !model.ready;
    return option;
  }));
  if (status.models.some((model) => model.id === chosen)) picker.value = chosen;
}

function show(status) {
  latest = status;
  showSelf(status);
  showPeers(status);
  showTunnels(status);
  showProblems(status);
  showModels(status);
  drawTopology(byId('graph'), status);
}

function live(text, style) {
  byId('live').textContent = text;
  byId('live').className = 'live ' + style;
}

function follow() {
  byId('reconnect').hidden = true;
  const source = new EventSource('/v1/events');
  source.onopen = () => live('live', 'on');
  source.onmessage = (event) => show(JSON.parse(event.data));
  source.onerror = () => {
    live('connection to the node lost', 'off');
    // The browser tries again by itself, except after an HTTP error.
    byId('reconnect').hidden = source.readyState !== EventSource.CLOSED;
  };
}

byId('reconnect').addEventListener('click', follow);
byId('model').addEventListener('change', () => latest && drawTopology(byId('graph'), latest));
new ResizeObserver(() => {
  if (latest !== undefined) drawTopology(byId('graph'), latest);
}).observe(byId('mesh-title'));
follow();
`;
