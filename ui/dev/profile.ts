/** Reads a province profile for the browser replay: layer list, features and tiles, as the core would hand them out. */
import { GeoJSONVT } from '@maplibre/geojson-vt'
import { fromGeojsonVt } from '@maplibre/vt-pbf'
import type { Feature, FeatureCollection, Geometry, Position } from 'geojson'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import type { BBox, Field, Group, LayerInfo, Parameter, ProfileInfo, Title } from '../src/bridge/types.ts'
import type { ReplayFeature } from '../src/bridge/replay/feature.ts'

/** A layer as `profile.toml` declares it; only what the replay needs. */
interface Declared extends Omit<LayerInfo, 'fields' | 'parameters' | 'as_of' | 'note'> {
  file: string
  provider: Title
  licence: string
  as_of: string
  interval?: string
  live_source?: string
  note?: Title
  fields: Partial<Field>[]
  parameters?: Partial<Parameter>[]
}

interface ProfileFile extends Omit<ProfileInfo, 'groups'> {
  groups: Group[]
  layers: Declared[]
}

type Named = Feature<Geometry, Record<string, string | number | boolean | null>>

const EXTENT = 4096
const MAX_ZOOM = 16

export class ReplayProfile {
  readonly profile: ProfileInfo
  readonly layers: LayerInfo[]
  readonly #declared: Map<string, Declared>
  readonly #dir: string
  readonly #collections = new Map<string, Named[]>()
  readonly #tiles = new Map<string, GeoJSONVT>()

  constructor(dir: string) {
    this.#dir = dir
    const file = parse(readFileSync(join(dir, 'profile.toml'), 'utf8')) as unknown as ProfileFile
    const { id, title, timezone, bbox, center, groups, crs, default_layer } = file
    this.profile = { id, title, timezone, bbox, center, groups, crs, default_layer }
    this.#declared = new Map(file.layers.map((layer) => [layer.id, layer]))
    this.layers = file.layers.map((layer) => this.#info(layer))
  }

  #info(layer: Declared): LayerInfo {
    const asOf = `${String(layer.as_of).slice(0, 10)}T00:00:00Z`
    const { id, kind, group, title, geometry, classification, sample, name_field } = layer
    return {
      id, kind, group, title, geometry, classification, sample, name_field,
      features: this.features(id).length, bbox: boxOf(this.#named(id).map((feature) => feature.geometry)), version: 1, tiled: false,
      as_of: asOf, freshness: 'fresh', practice: layer.live_source !== undefined, source: 'profile',
      provenance: {
        source: 'profile', provider: layer.provider, fetched_at: asOf, as_of: asOf, licence: layer.licence,
        classification, sample, practice: layer.live_source !== undefined,
      },
      fields: layer.fields.map((field) => ({ label: false, required: false, ...field }) as Field),
      parameters: (layer.parameters ?? []).map((one) => ({ decimals: 0, chart: false, ...one }) as Parameter),
      note: layer.note ?? null, visible: layer.visible ?? true, opacity: layer.opacity ?? 1, live: null, remote: null,
      role: layer.role ?? 'guest', allowed: true,
    }
  }

  #named(layer: string): Named[] {
    const known = this.#collections.get(layer)
    if (known) return known
    const file = this.#declared.get(layer)?.file
    if (!file) throw new Error(`no layer ${layer}`)
    const { features } = JSON.parse(readFileSync(join(this.#dir, file), 'utf8')) as FeatureCollection
    this.#collections.set(layer, features as Named[])
    return features as Named[]
  }

  features(layer: string): ReplayFeature[] {
    const nameField = this.#declared.get(layer)?.name_field ?? 'name'
    return this.#named(layer).map(({ id, properties, geometry }, ordinal) => ({
      id: String(id), ordinal, name: String(properties[nameField] ?? ''), properties, line: /Line/.test(geometry.type),
      point: middleOf(geometry), bbox: boxOf([geometry]) ?? [0, 0, 0, 0],
    }))
  }

  /** Properties that tiles and point sources carry. */
  #carried(layer: string, feature: ReplayFeature): Record<string, string | number | boolean | null> {
    const labels = (this.#declared.get(layer)?.fields ?? []).filter((field) => field.label).map((field) => field.name ?? '')
    const kept = Object.entries(feature.properties).filter(([key]) => labels.includes(key))
    return { ...Object.fromEntries(kept), id: feature.id, name: feature.name }
  }

  /** The features as they stand in the file. */
  collection(layer: string): FeatureCollection {
    return { type: 'FeatureCollection', features: this.#named(layer) }
  }

  /** `/p/` and `/l/`: the features as points. */
  points(layer: string): FeatureCollection {
    return {
      type: 'FeatureCollection',
      features: this.features(layer).map((feature) => ({
        type: 'Feature', id: feature.ordinal, properties: { ...this.#carried(layer, feature), area_m2: areaOf(feature.bbox) },
        geometry: { type: 'Point', coordinates: feature.point },
      })),
    }
  }

  /** `/v/`: a vector tile, or null for an empty one. */
  tile(layer: string, z: number, x: number, y: number): Uint8Array | null {
    let index = this.#tiles.get(layer)
    if (!index) {
      const named = this.#named(layer)
      const features = this.features(layer).map((feature) => ({
        type: 'Feature' as const, id: feature.ordinal, properties: this.#carried(layer, feature),
        geometry: named[feature.ordinal]?.geometry ?? { type: 'Point' as const, coordinates: feature.point },
      }))
      index = new GeoJSONVT({ type: 'FeatureCollection', features }, { maxZoom: MAX_ZOOM, extent: EXTENT, buffer: 64 })
      this.#tiles.set(layer, index)
    }
    const tile = index.getTile(z, x, y)
    return tile ? fromGeojsonVt({ [layer]: tile }, { version: 2, extent: EXTENT }) : null
  }
}

function* positions(geometry: Geometry): Generator<Position> {
  if (geometry.type === 'GeometryCollection') for (const one of geometry.geometries) yield* positions(one)
  else {
    const lists = [geometry.coordinates] as unknown[]
    while (lists.length > 0) {
      const list = lists.pop() as unknown[]
      if (typeof list[0] === 'number') yield list as Position
      else lists.push(...list)
    }
  }
}

function boxOf(geometries: Geometry[]): BBox | null {
  const box: BBox = [Infinity, Infinity, -Infinity, -Infinity]
  for (const geometry of geometries) {
    for (const [lon = 0, lat = 0] of positions(geometry)) {
      box[0] = Math.min(box[0], lon)
      box[1] = Math.min(box[1], lat)
      box[2] = Math.max(box[2], lon)
      box[3] = Math.max(box[3], lat)
    }
  }
  return Number.isFinite(box[0]) ? box : null
}

/** Near enough for a replay: the mean of the corners. */
function middleOf(geometry: Geometry): [number, number] {
  let [lon, lat, count] = [0, 0, 0]
  for (const [x = 0, y = 0] of positions(geometry)) {
    lon += x
    lat += y
    count++
  }
  return [lon / count, lat / count]
}

/** Of the box; only orders labels. */
const areaOf = ([w, s, e, n]: BBox): number => (e - w) * 109_300 * ((n - s) * 110_600)
