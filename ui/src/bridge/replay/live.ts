/** Made-up live values for the replay. They only have to look alive: nothing here is a measurement or a method. */
import type { FeatureState, LayerInfo, LiveSummary, Reading, Series } from '../types'
import type { ReplayFeature } from './feature'

const MINUTE = 60_000
const AQI_ENDS = [50, 100, 150, 200, 300, 500]
const levelOf = (aqi: number) => AQI_ENDS.findIndex((end) => aqi <= end) + 1

/** Spreads ids over 0–1. */
export function chance(text: string): number {
  let hash = 2166136261
  for (const char of text) hash = Math.imul(hash ^ char.charCodeAt(0), 16777619)
  return ((hash >>> 0) % 10_000) / 10_000
}

/** A curve through the day around a level of its own. */
function wave(seed: string, ms: number): number {
  const hours = ms / 3_600_000
  return 0.5 + 0.3 * Math.sin(((hours + chance(seed) * 24) * Math.PI) / 12) + 0.06 * Math.sin(hours * 3.1)
}

export function valueOf(layer: LayerInfo, feature: ReplayFeature, code: string, ms: number): number {
  const parameter = layer.parameters.find((one) => one.code === code)
  const limit = parameter?.limit_max ?? 20
  return limit * (0.25 + chance(feature.id + code) * 0.6) * (0.5 + wave(feature.id + code, ms))
}

const aqiOf = (feature: ReplayFeature, ms: number) =>
  Math.round((30 + chance(feature.id) * 140) * (0.6 + 0.6 * wave(feature.id, ms)))

/** Which station is late, silent, faulty or away: decided by its id, the first of a layer is always well. */
function conditionOf(feature: ReplayFeature): FeatureState['freshness'] {
  if (feature.ordinal === 0) return 'fresh'
  const luck = chance(feature.id + 'condition')
  if (luck < 0.03) return 'never'
  if (luck < 0.06) return 'error'
  if (feature.ordinal === 1 || luck < 0.1) return 'stale'
  return 'fresh'
}

export function stateOf(layer: LayerInfo, feature: ReplayFeature, now: number, lost: boolean): FeatureState {
  const condition = conditionOf(feature)
  const freshness = lost && condition !== 'never' ? 'offline' : condition
  const step = layer.kind === 'camera' ? 10_000 : 5 * MINUTE
  const measured = condition === 'stale' ? now - 3 * 60 * MINUTE : now - (now % step)
  const air = layer.kind === 'air_station'
  const chart = layer.parameters.find((one) => one.chart) ?? layer.parameters[0]
  const value = air ? aqiOf(feature, measured) : layer.kind === 'camera' ? 25 : valueOf(layer, feature, chart?.code ?? '', measured)
  const limit = chart?.limit_max ?? null
  const severity = limit === null || value <= limit ? 0 : value > limit * 1.5 ? 3 : 2
  return {
    id: feature.id, ordinal: feature.ordinal, freshness, scale: air ? 'aqi' : limit === null ? 'none' : 'severity',
    level: condition === 'never' ? 0 : air ? levelOf(value) : severity, value: condition === 'never' ? null : value,
    status: condition === 'error' ? 'faulty' : 'measuring',
    measured_at: condition === 'never' ? null : new Date(measured).toISOString(),
    received_at: condition === 'never' ? null : new Date(measured + 20_000).toISOString(),
  }
}

export function summaryOf(layer: LayerInfo, states: FeatureState[]): LiveSummary {
  const count = (freshness: FeatureState['freshness']) => states.filter((state) => state.freshness === freshness).length
  return {
    fresh: count('fresh'), stale: count('stale'), offline: count('offline'), error: count('error'), never: count('never'),
    as_of: states.map((state) => state.measured_at).filter((time) => time !== null).sort().at(-1) ?? null,
    interval_secs: layer.kind === 'camera' ? 10 : 300, stale_after_secs: layer.kind === 'camera' ? 30 : 7200,
  }
}

export function readingsOf(layer: LayerInfo, feature: ReplayFeature, state: FeatureState): Reading[] {
  const ms = state.measured_at ? Date.parse(state.measured_at) : 0
  return layer.parameters.map((parameter) => {
    const value = state.value === null ? null : valueOf(layer, feature, parameter.code, ms)
    const limit = parameter.limit_max ?? null
    const sub = layer.kind === 'air_station' && value !== null ? Math.round((value / (limit ?? 50)) * 100) : null
    const level = sub !== null ? levelOf(sub) : value !== null && limit !== null && value > limit ? 2 : 0
    return { parameter, value, measured_at: state.measured_at, status: state.status, freshness: state.freshness, sub_index: sub, level }
  })
}

export function seriesOf(layer: LayerInfo, feature: ReplayFeature, code: string, hours: number, now: number): Series {
  const from = now - hours * 60 * MINUTE
  const aqi = code === 'aqi'
  const parameter = layer.parameters.find((one) => one.code === code)
  const step = aqi ? 60 * MINUTE : 15 * MINUTE
  // Some stations paused for three hours, so that the hatch can be seen.
  const gap: [number, number] | null = chance(feature.id + 'gap') < 0.5 ? [now - 11 * 60 * MINUTE, now - 8 * 60 * MINUTE] : null
  const points: [number, number][] = []
  for (let ms = Math.ceil(from / step) * step; ms <= now; ms += step) {
    if (gap && ms > gap[0] && ms < gap[1]) continue
    points.push([ms, aqi ? aqiOf(feature, ms) : valueOf(layer, feature, code, ms)])
  }
  return {
    layer: layer.id, id: feature.id, code, title: aqi ? { vi: 'VN_AQI', en: 'VN_AQI' } : (parameter?.title ?? { vi: code, en: code }),
    unit: aqi ? '' : (parameter?.unit ?? ''), decimals: aqi ? 0 : (parameter?.decimals ?? 0), points, gaps: gap ? [gap] : [],
    from_ms: from, to_ms: now, limit_max: aqi ? null : (parameter?.limit_max ?? null),
    limit_min: aqi ? null : (parameter?.limit_min ?? null), scale: aqi ? 'aqi' : 'none',
  }
}
