/** A small first picture for tests. */
import type { LayerInfo, Start } from '../bridge'

const both = (text: string) => ({ vi: text, en: text })

function info(id: LayerInfo['id'], change: Partial<LayerInfo>): LayerInfo {
  return {
    id, kind: 'other', group: 'base', title: both(id), geometry: 'point', features: 2, bbox: null, version: 1, tiled: false,
    as_of: null, freshness: 'fresh', sample: true, practice: true, source: 'profile', provenance: null,
    classification: 'public', name_field: 'name', fields: [], parameters: [], note: null, visible: true, opacity: 1,
    live: null, remote: null, role: 'guest', allowed: true, ...change,
  }
}

export const layers: LayerInfo[] = [
  info('communes', { kind: 'communes', geometry: 'polygon' }),
  info('schools', { kind: 'school', group: 'social', visible: false }),
  info('air_stations', { kind: 'air_station', group: 'environment', opacity: 0.9 }),
]

export function layer(id: string): LayerInfo {
  const found = layers.find((layer) => layer.id === id)
  if (!found) throw new Error(`no layer ${id} in the fixture`)
  return found
}

export function start(): Start {
  return {
    version: '0.1.0',
    home: '/home/desk',
    profile: {
      id: 'tay-ninh', title: both('Tây Ninh'), timezone: 'Asia/Ho_Chi_Minh', bbox: [105.45, 10.35, 106.9, 11.8],
      center: [106.2, 11.05], groups: [], crs: [], default_layer: 'air_stations',
    },
    layers,
    states: [
      {
        layer: 'air_stations',
        version: 1,
        states: [
          {
            id: 'a', ordinal: 0, freshness: 'fresh', scale: 'aqi', level: 3, value: 132, status: 'measuring',
            measured_at: '2026-11-23T07:00:00Z', received_at: '2026-11-23T07:03:00Z',
          },
        ],
      },
    ],
    sources: { sources: [], link: 'unknown', lost: 0, as_of: null, practice: true },
    settings: { language: 'vi', theme: 'dark', text_scale: 1, epsg: null, layers: {}, camera: null, favourites: [], basemap: null, tile_cache_mb: 2000 },
    session: { name: '', role: 'guest' },
    views: [],
    jobs: [],
    open: null,
  }
}
