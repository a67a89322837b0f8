/** Layers and colours for this folder's tests. */
import type { Palette } from './tokens'
import type { LayerInfo, LayerKind, LiveRecord, MapTheme } from './types'

/** Every token has the same colour: tests look at structure. */
export function palette(theme: MapTheme): Palette {
  const color = new Proxy({}, { get: () => (theme === 'dark' ? '#102030' : '#E0E8F0') }) as Palette['color']
  return { theme, color }
}

export function layer(id: string, kind: LayerKind, geometry: LayerInfo['geometry'], more: Partial<LayerInfo> = {}): LayerInfo {
  const title = { vi: id, en: id }
  return {
    id, kind, geometry, title, group: 'base', features: 1, bbox: null, version: 1, tiled: false, as_of: null, freshness: 'fresh',
    sample: true, practice: true, source: 'profile', provenance: null, classification: 'public', name_field: 'name',
    fields: [], parameters: [], note: null, visible: true, opacity: 1, live: null, remote: null, role: 'guest', allowed: true, ...more,
  }
}

export const PROVINCE: readonly LayerInfo[] = [
  layer('outline', 'outline', 'polygon'),
  layer('communes', 'communes', 'polygon'),
  layer('water', 'water', 'polygon'),
  layer('rivers', 'river', 'line'),
  layer('planning_zones', 'planning_zone', 'polygon'),
  layer('industrial_parks', 'industrial_park', 'polygon'),
  layer('border', 'border', 'line'),
  layer('roads', 'road', 'line'),
  layer('places', 'place', 'point'),
  layer('border_gates', 'border_gate', 'point'),
  layer('schools', 'school', 'point'),
  layer('clinics', 'clinic', 'point'),
  layer('stack_stations', 'stack_station', 'point'),
  layer('wastewater_stations', 'wastewater_station', 'point'),
  layer('water_level_stations', 'water_level_station', 'point'),
  layer('cameras', 'camera', 'point'),
  layer('water_stations', 'water_station', 'point'),
  layer('air_stations', 'air_station', 'point'),
  layer('strange_points', 'other', 'point'),
  layer('strange_lines', 'other', 'line'),
  layer('strange_mix', 'other', 'mixed'),
  layer('many_points', 'school', 'point', { tiled: true }),
  layer('many_lots', 'planning_zone', 'polygon', { tiled: true }),
]

export const record = (more: Partial<LiveRecord> = {}): LiveRecord => ({
  ordinal: 0, freshness: 'fresh', scale: 'aqi', level: 2, value: 78, measuredAt: 0, calibrating: false, faulty: false, ...more,
})
