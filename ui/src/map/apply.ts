/** Brings the map from one composition to the next, touching only what differs: sources and camera stay as they are. */
import type { LayerSpecification, Map as MapLibreMap, SourceSpecification, VectorTileSource } from 'maplibre-gl'
import type { Composition } from './style'

type Properties = Record<string, unknown>
type Loose = LayerSpecification & { layout?: Properties; paint?: Properties; filter?: unknown; source?: string }

const same = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

/** Calls `set` for every property that is new, different or gone (undefined). */
function each(before: Properties = {}, after: Properties = {}, set: (name: string, value: unknown) => void): void {
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (!same(before[name], after[name])) set(name, after[name])
  }
}

function update(map: MapLibreMap, before: Loose, after: Loose): void {
  const id = after.id
  // Property names come from a specification of the same layer type; the map's setters are typed by name.
  each(before.layout, after.layout, (name, value) => map.setLayoutProperty(id, name as 'visibility', value as 'visible'))
  each(before.paint, after.paint, (name, value) => map.setPaintProperty(id, name as 'fill-color', value as string))
  if (!same(before.filter, after.filter)) map.setFilter(id, (after.filter ?? null) as never)
  if (before.minzoom !== after.minzoom || before.maxzoom !== after.maxzoom) {
    map.setLayerZoomRange(id, after.minzoom ?? 0, after.maxzoom ?? 24)
  }
}

/** Whether a style layer can be changed in place. */
const compatible = (before: Loose, after: Loose): boolean => before.type === after.type && before.source === after.source

/** Whether a source stays: how deep its tiles go cannot be changed in place. */
function stays(before: SourceSpecification | undefined, after: SourceSpecification | undefined): boolean {
  if (before?.type !== after?.type) return false
  if (before?.type !== 'vector' || after?.type !== 'vector') return true
  return before.minzoom === after.minzoom && before.maxzoom === after.maxzoom
}

export function apply(map: MapLibreMap, before: Composition, after: Composition): void {
  const old = new Map(before.layers.map((layer) => [layer.id, layer as Loose]))
  const next = new Map(after.layers.map((layer) => [layer.id, layer as Loose]))
  for (const [id, layer] of old) {
    const kept = next.get(id)
    const source = layer.source ?? ''
    if (!kept || !compatible(layer, kept) || !stays(before.sources.get(source), after.sources.get(source))) {
      map.removeLayer(id)
      old.delete(id)
    }
  }
  for (const [id, source] of before.sources) {
    if (!stays(source, after.sources.get(id))) map.removeSource(id)
  }
  for (const [id, source] of after.sources) {
    const known = before.sources.get(id)
    if (!stays(known, source)) map.addSource(id, source)
    else if (source.type === 'vector' && known?.type === 'vector' && !same(known.tiles, source.tiles)) {
      map.getSource<VectorTileSource>(id)?.setTiles(source.tiles ?? [])
    }
  }
  // From the top down, so that the layer above is there already.
  let above: string | undefined
  for (const layer of [...after.layers].reverse() as Loose[]) {
    const known = old.get(layer.id)
    if (known) update(map, known, layer)
    else map.addLayer(layer, above)
    // A layer the map refused was reported as an error; the others go on without it.
    if (map.getLayer(layer.id)) above = layer.id
  }
}
