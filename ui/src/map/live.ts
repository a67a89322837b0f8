/** Point features and their live states, merged into what the style reads. No map in here: data in, differences out. */
import type { Feature, FeatureCollection, Point } from 'geojson'
import type { GeoJSONSourceDiff } from 'maplibre-gl'
import type { IconName } from './icons'
import { symbolName } from './symbols'
import type { Freshness, LayerInfo, LayerKind, LiveRecord, MapLanguage } from './types'

export type PointFeature = Feature<Point, Record<string, unknown>>
export type PointCollection = FeatureCollection<Point, Record<string, unknown>>

/** What the style reads of a point's state. The prefix keeps these apart from the data's own fields. */
export interface Shown {
  /** Name of the mark, without its theme. */
  tc_mark: string
  /** Greater lies on top. */
  tc_rank: number
  /** Severity 1–4, or 0; decides whether a quiet kind steps forward. */
  tc_level: number
  /** The figure with its unit, as each language writes it; empty when none may be shown. */
  tc_figure_vi: string
  tc_figure_en: string
}

const SHOWN = ['tc_mark', 'tc_rank', 'tc_level', 'tc_figure_vi', 'tc_figure_en'] as const satisfies (keyof Shown)[]

const ICON: Partial<Record<LayerKind, IconName>> = {
  water_station: 'water',
  wastewater_station: 'wastewater',
  stack_station: 'stack',
  water_level_station: 'level',
  camera: 'camera',
  school: 'school',
  clinic: 'clinic',
  border_gate: 'gate',
}

const LIVE: ReadonlySet<LayerKind> = new Set<LayerKind>([
  'air_station', 'water_station', 'wastewater_station', 'stack_station', 'water_level_station', 'camera',
])

export const isLive = (kind: LayerKind): boolean => LIVE.has(kind)

/** The icon of a kind's rounded square, if it has one. */
export const iconOf = (kind: LayerKind): IconName | null => ICON[kind] ?? null

/**
 * Whether a number may still be shown: never without one, never a wrong one, and of a source that is offline only
 * until the stale limit.
 */
export function hasFigure(record: LiveRecord | null, nowMs: number, staleAfterMs: number): boolean {
  if (!record || record.value === null || record.faulty || record.calibrating) return false
  if (record.freshness === 'error' || record.freshness === 'never') return false
  if (record.freshness !== 'offline') return true
  return record.measuredAt === null || nowMs - record.measuredAt <= staleAfterMs
}

function written(value: number, decimals: number, unit: string, language: MapLanguage): string {
  const text = value.toLocaleString(language === 'vi' ? 'vi-VN' : 'en-GB', {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  })
  // The no-break space keeps figure and unit on one line.
  return `${text.replace('-', '−')}\u00A0${unit}`.trimEnd()
}

/** What a feature of this layer shows in this state. */
export function shownAs(info: LayerInfo, record: LiveRecord | null, nowMs: number): Shown {
  const plain = { tc_rank: 0, tc_level: 0, tc_figure_vi: '', tc_figure_en: '' }
  if (!isLive(info.kind)) {
    const icon = iconOf(info.kind)
    return { ...plain, tc_mark: icon ? symbolName({ kind: 'facility', icon, freshness: 'fresh' }) : 'town' }
  }
  const freshness: Freshness = record?.faulty ? 'error' : (record?.freshness ?? 'never')
  const valid = hasFigure(record, nowMs, (info.live?.stale_after_secs ?? 7200) * 1000)
  const value = valid ? (record?.value ?? null) : null
  if (info.kind === 'air_station') {
    const level = record?.scale === 'aqi' ? record.level : 0
    const figure = value === null || level === 0 ? null : Math.max(0, Math.min(999, Math.round(value)))
    const mark = symbolName({ kind: 'aqi', level: figure === null ? 0 : level, figure, freshness })
    return { ...plain, tc_mark: mark, tc_rank: figure ?? -1 }
  }
  const severity = record?.scale === 'severity' && valid ? Math.min(4, record.level) : 0
  const icon = iconOf(info.kind) ?? 'water'
  const mark =
    severity > 0
      ? symbolName({ kind: 'severity', level: severity, freshness })
      : symbolName({ kind: 'facility', icon, freshness })
  const shown = { ...plain, tc_mark: mark, tc_level: severity, tc_rank: severity }
  if (info.kind === 'camera' || value === null) return shown
  const parameter = info.parameters.find((one) => one.chart) ?? info.parameters[0]
  const figure = (language: MapLanguage) => written(value, parameter?.decimals ?? 1, parameter?.unit ?? '', language)
  return { ...shown, tc_figure_vi: figure('vi'), tc_figure_en: figure('en') }
}

/**
 * Names without the words that all of them begin or end with: on a map of air stations, "Trạm khí Trảng Bàng" reads
 * "Trảng Bàng". Names that would vanish stay as they are.
 */
export function shortNames(names: readonly string[]): string[] {
  if (names.length < 2) return [...names]
  const words = names.map((name) => name.split(' '))
  const fewest = Math.min(...words.map((one) => one.length))
  const first = words[0] ?? []
  let head = 0
  while (head < fewest - 1 && words.every((one) => one[head] === first[head])) head += 1
  let tail = 0
  while (tail < fewest - 1 - head && words.every((one) => one.at(-1 - tail) === first.at(-1 - tail))) tail += 1
  return words.map((one) => {
    const short = one.slice(head, one.length - tail).join(' ')
    return short.charAt(0).toLocaleUpperCase('vi') + short.slice(1)
  })
}

/** Kinds whose names all begin alike in daily use. */
const SHORTENED: ReadonlySet<LayerKind> = new Set<LayerKind>(['air_station', 'wastewater_station'])

const text = (value: unknown): string => (typeof value === 'string' ? value : '')

/** The point features of one layer in one version, with their states. */
export class PointStore {
  private readonly features = new Map<number, PointFeature>()
  private readonly ordinals = new Map<string, number>()
  private readonly states = new Map<number, LiveRecord>()
  private readonly dirty = new Set<number>()

  constructor(private info: LayerInfo) {}

  get version(): number {
    return this.info.version
  }

  /** Takes new counts and limits of the same version. */
  describe(info: LayerInfo): void {
    this.info = info
  }

  /** Takes the layer's features as the tiles scheme delivers them: id = ordinal. */
  load(collection: FeatureCollection, nowMs: number): void {
    this.features.clear()
    this.ordinals.clear()
    const points = collection.features.filter((one): one is PointFeature => one.geometry?.type === 'Point')
    const labels = (of: (one: PointFeature) => string) => {
      const names = points.map(of)
      return SHORTENED.has(this.info.kind) ? shortNames(names) : names
    }
    const vi = labels((one) => text(one.properties?.name))
    const en = labels((one) => text(one.properties?.name_en) || text(one.properties?.name))
    points.forEach((one, at) => {
      const ordinal = Number(one.id)
      const properties = { ...one.properties, tc_label_vi: vi[at] ?? '', tc_label_en: en[at] ?? '' }
      this.features.set(ordinal, { type: 'Feature', id: ordinal, geometry: one.geometry, properties })
      this.ordinals.set(text(one.properties?.id), ordinal)
      this.merge(ordinal, nowMs)
    })
    this.dirty.clear()
  }

  private merge(ordinal: number, nowMs: number): boolean {
    const feature = this.features.get(ordinal)
    if (!feature) return false
    const shown = shownAs(this.info, this.states.get(ordinal) ?? null, nowMs)
    const before = feature.properties
    const same = SHOWN.every((key) => before[key] === shown[key])
    if (!same) feature.properties = { ...before, ...shown }
    return !same
  }

  /** Takes a batch. True when something on the map has to change. */
  apply(records: readonly LiveRecord[], nowMs: number): boolean {
    for (const record of records) {
      this.states.set(record.ordinal, record)
      if (this.merge(record.ordinal, nowMs)) this.dirty.add(record.ordinal)
    }
    return this.dirty.size > 0
  }

  /** Looks at the clock again: numbers of offline sources go when they are too old. */
  age(nowMs: number): boolean {
    for (const [ordinal, state] of this.states) {
      if (state.freshness === 'offline' && this.merge(ordinal, nowMs)) this.dirty.add(ordinal)
    }
    return this.dirty.size > 0
  }

  /** Everything, for a first or whole replacement. */
  collection(): PointCollection {
    this.dirty.clear()
    return { type: 'FeatureCollection', features: [...this.features.values()] }
  }

  /** What changed since the last time, or null. */
  difference(): GeoJSONSourceDiff | null {
    if (this.dirty.size === 0) return null
    const update = [...this.dirty].flatMap((ordinal) => {
      const properties = this.features.get(ordinal)?.properties
      if (!properties) return []
      return [{ id: ordinal, addOrUpdateProperties: SHOWN.map((key) => ({ key, value: properties[key] })) }]
    })
    this.dirty.clear()
    return { update }
  }

  find(id: string): PointFeature | null {
    const ordinal = this.ordinals.get(id)
    return ordinal === undefined ? null : (this.features.get(ordinal) ?? null)
  }

  /** How many features carry a value, fresh or not. */
  valued(): number {
    let count = 0
    for (const [ordinal, state] of this.states) if (state.value !== null && this.features.has(ordinal)) count += 1
    return count
  }
}
