import type { LayerSpecification, Map as MapLibreMap } from 'maplibre-gl'
import { describe, expect, it } from 'vitest'
import { apply } from './apply'
import { compose, type Composition, type StyleState } from './style'
import { palette, PROVINCE } from './testing'

/** Keeps the order of layers as the map would, and notes every call. */
class Recorder {
  calls: string[] = []
  order: string[] = []
  note = (name: string) => (id: string, ...rest: unknown[]) => void this.calls.push([name, id, ...rest.slice(0, 1)].join(' '))
  setLayoutProperty = this.note('layout')
  setPaintProperty = this.note('paint')
  setFilter = (id: string) => this.calls.push(`filter ${id}`)
  setLayerZoomRange = this.note('zoom')
  addSource = this.note('+source')
  removeSource = this.note('-source')
  getSource = (id: string) => ({ setTiles: () => this.calls.push(`tiles ${id}`) })
  getLayer = (id: string) => (this.order.includes(id) ? {} : undefined)
  addLayer(layer: LayerSpecification, before?: string) {
    const at = before === undefined ? this.order.length : this.order.indexOf(before)
    expect(at).toBeGreaterThanOrEqual(0)
    this.order.splice(at, 0, layer.id)
    this.calls.push(`+layer ${layer.id}`)
  }
  removeLayer(id: string) {
    this.order = this.order.filter((one) => one !== id)
    this.calls.push(`-layer ${id}`)
  }
}

const state = (more: Partial<StyleState> = {}): StyleState => ({
  layers: PROVINCE, choices: new Map(), palette: palette('dark'), language: 'vi', tilesBase: 'x', selected: null, basemap: null, ...more,
})

function drawn(): { map: Recorder; first: Composition; go: (more: Partial<StyleState>) => string[] } {
  const map = new Recorder()
  const first = compose(state())
  apply(map as unknown as MapLibreMap, { sources: new Map(), layers: [] }, first)
  const go = (more: Partial<StyleState>) => {
    map.calls = []
    const next = compose(state(more))
    apply(map as unknown as MapLibreMap, first, next)
    expect(map.order).toEqual(next.layers.map((one) => one.id))
    return map.calls
  }
  return { map, first, go }
}

describe('applying a composition', () => {
  it('builds_the_layers_in_order', () => {
    const { map, first } = drawn()
    expect(map.order).toEqual(first.layers.map((one) => one.id))
  })

  it('does_nothing_when_nothing_changed', () => {
    expect(drawn().go({})).toEqual([])
  })

  it('makes_a_source_anew_when_its_tiles_go_less_deep', () => {
    const remote = { answered_at: null, filters: true, tiles: null, zooms: [11, 14] as [number, number] }
    const layers = PROVINCE.map((one) => (one.id === 'roads' ? { ...one, remote } : one))
    const calls = drawn().go({ layers })
    expect(calls.filter((call) => call.includes('source'))).toEqual(['-source roads', '+source roads [object Object]'])
    expect(calls.indexOf('-source roads')).toBeGreaterThan(calls.findLastIndex((call) => call.startsWith('-layer roads')))
    expect(calls.findIndex((call) => call.startsWith('+layer roads'))).toBeGreaterThan(calls.indexOf('-source roads'))
  })

  it('switches_the_theme_without_touching_a_source', () => {
    const calls = drawn().go({ palette: palette('light') })
    expect(calls.length).toBeGreaterThan(40)
    expect(calls.every((call) => call.startsWith('paint ') || call.startsWith('layout '))).toBe(true)
  })

  it('swaps_the_tiles_of_the_replaced_layer_only', () => {
    const layers = PROVINCE.map((one) => (one.id === 'roads' ? { ...one, version: 2 } : one))
    expect(drawn().go({ layers })).toEqual(['tiles roads'])
  })

  it('changes_visibility_and_opacity_in_place', () => {
    const calls = drawn().go({ choices: new Map([['water', { visible: false, opacity: 1 }]]) })
    expect(calls).toEqual(['layout water/shore visibility', 'layout water/area visibility'])
  })

  it('puts_a_late_layer_in_its_place_and_takes_a_gone_one_away', () => {
    const { map, go } = drawn()
    go({ layers: PROVINCE.filter((one) => one.id !== 'water') })
    expect(map.calls).toEqual(['-layer water/area', '-layer water/shore', '-source water'])
  })
})
