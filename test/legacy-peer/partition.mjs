/** Memory-weighted ring as the old peer computes it, faults included (an empty shard shifts the indices). */

/** `nodes`: {id: capabilities}. Sorted by (memory, id) descending, fractions rounded to five places. */
export function partitionsOf(nodes) {
  const sorted = Object.entries(nodes).sort(([aId, a], [bId, b]) =>
    a.memory !== b.memory ? b.memory - a.memory : aId < bId ? 1 : -1,
  );
  const total = sorted.reduce((sum, [, caps]) => sum + caps.memory, 0);
  if (total === 0) throw new Error('ZeroDivisionError');
  let start = 0;
  return sorted.map(([id, caps]) => {
    const end = Number((start + caps.memory / total).toFixed(5));
    const partition = { id, start, end };
    start = end;
    return partition;
  });
}

/** Shards of a model over partitions; empty ones are dropped, which is the original's fault to have. */
export function shardsOf(partitions, modelId, nLayers) {
  const shards = [];
  partitions.forEach((partition, i) => {
    const first = Math.trunc(partition.start * nLayers);
    const last = i === partitions.length - 1 ? nLayers - 1 : Math.trunc(partition.end * nLayers) - 1;
    if (first <= last) {
      shards.push({ model_id: modelId, start_layer: first, end_layer: last, n_layers: nLayers });
    }
  });
  return shards;
}
