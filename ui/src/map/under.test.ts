import { validateStyleMin } from '@maplibre/maplibre-gl-style-spec'
import { describe, expect, it } from 'vitest'
import { compose, type StyleState } from './style'
import { palette, PROVINCE } from './testing'
import type { BasemapInfo } from './types'

const basemap = (more: Partial<NonNullable<BasemapInfo['tiles']>> = {}): BasemapInfo => ({
  id: 'nen-tinh', title: { vi: 'Nền', en: 'Base' }, protocol: 'wms', url: 'https://h/wms', layer: null, style: null,
  sample: false, practice: false, added: true, chosen: true, attribution: [], licence: null,
  tiles: {
    vector: false, min_zoom: 4, max_zoom: 18, bounds: [105, 10, 107, 12], tile_size: 512, vector_layers: [], local: false,
    ...more,
  },
  state: { basemap: 'nen-tinh', layer: null, status: 'ok', since: null, error: null, oldest_shown: null },
  kept: { tiles: 0, preloaded: 0, bytes: 0, oldest: null, newest: null }, areas: [],
})

const vector = (...names: string[]) =>
  basemap({ vector: true, vector_layers: names.map((id) => ({ id, fields: { name: 'String' } })) })

const style = (base: BasemapInfo | null, theme: 'dark' | 'light' = 'dark') => {
  const state: StyleState = {
    layers: PROVINCE, choices: new Map(), palette: palette(theme), language: 'vi', tilesBase: 'tiles://localhost',
    selected: null, basemap: base,
  }
  return compose(state)
}
const ids = (base: BasemapInfo | null) => style(base).layers.map((one) => one.id)

describe('base maps of others', () => {
  it('are_valid_styles_in_both_themes', () => {
    for (const theme of ['dark', 'light'] as const) {
      for (const base of [basemap(), vector('water', 'transportation', 'place', 'xa', 'building')]) {
        const { sources, layers } = style(base, theme)
        const faults = validateStyleMin({ version: 8, sources: Object.fromEntries(sources), layers }).map((one) => one.message)
        expect(faults.filter((text) => !text.includes('"glyphs"'))).toEqual([])
      }
    }
  })

  it('lie_under_everything_and_drawn_ground_gives_way', () => {
    const order = ids(basemap())
    expect(order.slice(0, 2)).toEqual(['background', '~basemap/picture'])
    for (const gone of ['outline/land', 'water/area', 'water/shore', 'rivers/line', 'roads/line', 'roads/casing']) {
      expect(ids(null), gone).toContain(gone)
      expect(order, gone).not.toContain(gone)
    }
    expect(order.some((id) => id.startsWith('outline/glow'))).toBe(false)
    for (const kept of ['outline/edge', 'communes/edge', 'communes/name', 'communes/area', 'rivers/name', 'roads/ref', 'planning_zones/area']) {
      expect(order, kept).toContain(kept)
    }
  })

  it('are_asked_for_under_their_own_address', () => {
    expect(style(basemap()).sources.get('~basemap:nen-tinh:512:4-18')).toEqual({
      type: 'raster', tileSize: 512, tiles: ['tiles://localhost/b/nen-tinh/{z}/{x}/{y}'], minzoom: 4, maxzoom: 18,
      bounds: [105, 10, 107, 12],
    })
  })

  it('are_darkened_in_the_dark_alone', () => {
    const paint = (theme: 'dark' | 'light') => style(basemap(), theme).layers.find((one) => one.id === '~basemap/picture')?.paint
    expect(paint('dark')).toMatchObject({ 'raster-brightness-max': 0.55 })
    expect(paint('light')).not.toHaveProperty('raster-brightness-max')
  })

  it('draw_vector_tiles_by_what_their_layers_are_called', () => {
    const order = ids(vector('transportation', 'water', 'landuse', 'place'))
    const at = (id: string) => {
      expect(order, id).toContain(id)
      return order.indexOf(id)
    }
    const expected = ['landuse/area', 'water/area', 'transportation/line', 'place/name'].map((id) => at(`~basemap/${id}`))
    expect(expected).toEqual([...expected].sort((a, b) => a - b))
    expect(at('~basemap/place/name')).toBeLessThan(at('communes/edge'))
  })

  it('are_not_drawn_before_their_source_answered', () => {
    expect(ids({ ...basemap(), tiles: null })).toEqual(ids(null))
  })
})
