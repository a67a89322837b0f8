import { validateStyleMin } from '@maplibre/maplibre-gl-style-spec'
import { describe, expect, it } from 'vitest'
import { compose, SELECTION, type StyleState } from './style'
import { palette, PROVINCE } from './testing'

const state = (more: Partial<StyleState> = {}): StyleState => ({
  layers: PROVINCE, choices: new Map(), palette: palette('dark'), language: 'vi', tilesBase: 'tiles://localhost',
  selected: null, basemap: null, ...more,
})

const ids = (more?: Partial<StyleState>) => compose(state(more)).layers.map((one) => one.id)

describe('style', () => {
  it('is_valid_in_every_theme_language_and_selection', () => {
    for (const theme of ['dark', 'light'] as const) {
      for (const language of ['vi', 'en'] as const) {
        for (const selected of [null, { layer: 'planning_zones', id: 'x' }, { layer: 'air_stations', id: 'a' }]) {
          const { sources, layers } = compose(state({ palette: palette(theme), language, selected }))
          // The specification asks for a glyph server as soon as there is text; the map does without.
          const style = { version: 8 as const, sources: Object.fromEntries(sources), layers }
          const faults = validateStyleMin(style).map((one) => one.message).filter((text) => !text.includes('"glyphs"'))
          expect(faults).toEqual([])
        }
      }
    }
  })

  it('draws_in_the_order_of_the_design', () => {
    const order = ids()
    const at = (id: string) => {
      expect(order, id).toContain(id)
      return order.indexOf(id)
    }
    const expected = [
      'background', 'outline/land', 'industrial_parks/area', 'planning_zones/area', 'water/area', 'rivers/line',
      'communes/edge', 'border/national', 'outline/edge', 'roads/line', 'places/town', 'air_stations/name', 'schools/mark',
      'cameras/mark', 'water_stations/mark', 'air_stations/mark', '~selection/ring', '~selection/mark',
    ]
    expect(expected.map(at)).toEqual(expected.map(at).sort((a, b) => a - b))
  })

  it('lets_no_label_take_room_from_a_mark', () => {
    const { layers } = compose(state())
    const marks = layers.findIndex((one) => one.id === 'schools/cluster')
    const labels = layers.filter((one) => one.type === 'symbol' && one.id.endsWith('/name'))
    expect(labels.length).toBeGreaterThan(8)
    for (const label of labels) expect(layers.indexOf(label), label.id).toBeLessThan(marks)
  })

  it('has_no_layer_without_its_source', () => {
    const { sources, layers } = compose(state({ selected: { layer: 'roads', id: 'r' } }))
    for (const layer of layers) if ('source' in layer) expect(sources.has(String(layer.source)), layer.id).toBe(true)
    expect(sources.has(SELECTION)).toBe(true)
  })

  it('never_clusters_air_stations', () => {
    const { sources } = compose(state())
    expect(sources.get('air_stations:points')).not.toHaveProperty('cluster')
    expect(sources.get('cameras:points')).toMatchObject({ cluster: true, clusterMaxZoom: 11, clusterRadius: 48 })
  })

  it('draws_large_layers_from_tiles_alone', () => {
    const { sources, layers } = compose(state())
    expect([...sources.keys()].filter((id) => id.startsWith('many'))).toEqual(['many_points', 'many_lots'])
    const from = (id: string) => layers.find((one) => one.id === id)
    expect(from('many_points/mark')).toMatchObject({ type: 'circle', source: 'many_points', 'source-layer': 'many_points' })
    expect(from('many_lots/code')).toMatchObject({ source: 'many_lots', 'source-layer': 'many_lots:labels' })
  })

  it('leaves_out_layers_the_role_may_not_see', () => {
    const layers = PROVINCE.map((one) => (one.id === 'cameras' ? { ...one, allowed: false } : one))
    expect(ids({ layers }).some((id) => id.startsWith('cameras'))).toBe(false)
  })

  it('outlines_a_selected_polygon_and_only_that', () => {
    expect(ids().some((id) => id.startsWith('~selection/white'))).toBe(false)
    expect(ids({ selected: { layer: 'planning_zones', id: 'x' } })).toContain('~selection/white/planning_zones')
    expect(ids({ selected: { layer: 'air_stations', id: 'x' } }).some((id) => id.startsWith('~selection/white'))).toBe(false)
  })

  it('asks_for_the_version_it_was_told', () => {
    const layers = PROVINCE.map((one) => (one.id === 'roads' ? { ...one, version: 7 } : one))
    const roads = compose(state({ layers })).sources.get('roads')
    expect(roads).toMatchObject({ tiles: ['tiles://localhost/v/roads/7/{z}/{x}/{y}'], minzoom: 5, maxzoom: 16 })
  })

  it('asks_the_data_centre_for_no_tiles_that_it_does_not_cut', () => {
    const remote = { answered_at: null, filters: true, tiles: null, zooms: [11, 14] as [number, number] }
    const layers = PROVINCE.map((one) => (one.id === 'roads' ? { ...one, tiled: true, remote } : one))
    expect(compose(state({ layers })).sources.get('roads')).toMatchObject({ minzoom: 11, maxzoom: 14 })
  })
})
