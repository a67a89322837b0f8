/** What lies under a place on screen, and what the ring around the selection needs to know. */
import type { FeatureCollection } from 'geojson'
import type { GeoJSONSource, Map as MapLibreMap, MapGeoJSONFeature, PointLike } from 'maplibre-gl'
import { layerOf, tilesOf } from './drawing'
import type { PointFeature } from './live'
import type { FeatureRef, LayerInfo } from './types'

/** CSS pixels around the pointer that still count as a hit. */
const POINT_TOLERANCE = 6
const LINE_TOLERANCE = 4

/** Style layers whose features a person can choose, best first: marks, then small areas, then lines, then land. */
const POINT_PARTS = ['mark', 'alarm', 'dot', 'cluster', 'point']
const CHOOSABLE: readonly (readonly string[])[] = [
  POINT_PARTS,
  ['area'],
  ['line', 'planned'],
]

/** Kinds of layers that are ground, not things: chosen only when nothing else is there. */
const GROUND = new Set(['communes/area'])
/** Never chosen: they lie under everything, or only name it. */
const DEAF = new Set(['outline', 'border', 'places'])

export type Hit =
  | { kind: 'feature'; ref: FeatureRef }
  | { kind: 'cluster'; source: string; cluster: number; at: [number, number] }

const box = (at: { x: number; y: number }, by: number): [PointLike, PointLike] => [
  [at.x - by, at.y - by],
  [at.x + by, at.y + by],
]

/** Ids of the style layers on the map that end in one of `parts`, without the ones that are never chosen. */
function layersOf(map: MapLibreMap, parts: readonly string[]): string[] {
  return map.getLayersOrder().filter((id) => {
    const [layer, part] = id.split('/')
    return layer && part && !layer.startsWith('~') && !DEAF.has(layer) && parts.includes(part)
  })
}

function distance(map: MapLibreMap, feature: MapGeoJSONFeature, at: { x: number; y: number }): number {
  if (feature.geometry.type !== 'Point') return 0
  const place = map.project(feature.geometry.coordinates as [number, number])
  return Math.hypot(place.x - at.x, place.y - at.y)
}

function hitOf(feature: MapGeoJSONFeature): Hit | null {
  const { properties, geometry, source } = feature
  if (typeof properties.cluster_id === 'number' && geometry.type === 'Point') {
    return { kind: 'cluster', source, cluster: properties.cluster_id, at: geometry.coordinates as [number, number] }
  }
  const id: unknown = properties.id
  return typeof id === 'string' ? { kind: 'feature', ref: { layer: layerOf(source), id } } : null
}

/** Twice the signed area of a ring in degrees: enough to tell small from large. */
function extent(feature: MapGeoJSONFeature): number {
  const { geometry } = feature
  const rings = geometry.type === 'Polygon' ? geometry.coordinates : geometry.type === 'MultiPolygon' ? geometry.coordinates.flat() : []
  let sum = 0
  for (const ring of rings) {
    ring.forEach(([x = 0, y = 0], at) => {
      const [nextX = 0, nextY = 0] = ring[(at + 1) % ring.length] ?? []
      sum += x * nextY - nextX * y
    })
  }
  return Math.abs(sum)
}

/** The thing at a place on screen, given in CSS pixels from the canvas's corner. */
export function hit(map: MapLibreMap, at: { x: number; y: number }, only: 'points' | 'all' = 'all'): Hit | null {
  const points = layersOf(map, POINT_PARTS)
  if (points.length > 0) {
    const near = map.queryRenderedFeatures(box(at, POINT_TOLERANCE), { layers: points })
    // The map answers topmost first; among equals the nearest to the pointer wins.
    const inked = near.map((feature, order) => ({ feature, by: distance(map, feature, at) + order * 0.01 }))
    inked.sort((a, b) => a.by - b.by)
    for (const { feature } of inked) {
      const found = hitOf(feature)
      if (found) return found
    }
  }
  if (only === 'points') return null
  const [, areas = [], lines = []] = CHOOSABLE
  const inside = map.queryRenderedFeatures([at.x, at.y], { layers: layersOf(map, areas) })
  const ground = inside.filter((feature) => GROUND.has(feature.layer.id))
  const things = inside.filter((feature) => !GROUND.has(feature.layer.id)).sort((a, b) => extent(a) - extent(b))
  const along = map.queryRenderedFeatures(box(at, LINE_TOLERANCE), { layers: layersOf(map, lines) })
  for (const feature of [...things, ...along, ...ground]) {
    const found = hitOf(feature)
    if (found) return found
  }
  return null
}

/** Moves in until the cluster opens. */
export async function openCluster(map: MapLibreMap, found: Extract<Hit, { kind: 'cluster' }>, durationMs: number): Promise<void> {
  const zoom = await map.getSource<GeoJSONSource>(found.source)?.getClusterExpansionZoom(found.cluster)
  if (zoom !== undefined) map.easeTo({ center: found.at, zoom: zoom + 0.2, duration: durationMs })
}

/** The selection source's content: the point with the radius of the ring that fits its mark. */
export function ringed(feature: PointFeature | null): FeatureCollection {
  if (!feature) return { type: 'FeatureCollection', features: [] }
  const mark = String(feature.properties.tc_mark ?? '')
  const ring = /^aqi:[456]/.test(mark) ? 27 : mark.startsWith('aqi:') ? 24 : 18
  return { type: 'FeatureCollection', features: [{ ...feature, properties: { ...feature.properties, ring } }] }
}

/** The selected point of a layer that is drawn from tiles, as far as its tile is there. */
export function tiledPoint(map: MapLibreMap, layers: readonly LayerInfo[], selected: FeatureRef): PointFeature | null {
  const info = layers.find((one) => one.id === selected.layer)
  if (!info?.tiled || info.geometry !== 'point' || !map.getSource(tilesOf(info.id))) return null
  const found = map.querySourceFeatures(tilesOf(info.id), { sourceLayer: info.id, filter: ['==', ['get', 'id'], selected.id] })
  const [first] = found
  if (first?.geometry.type !== 'Point') return null
  return { type: 'Feature', id: first.id, geometry: first.geometry, properties: { ...first.properties } }
}
