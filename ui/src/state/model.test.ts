import { describe, expect, test } from 'vitest'
import type { Job, LayerInfo, LiveRecord } from '../bridge'
import { layer, start } from './fixture'
import { LiveTables } from './live'
import { choiceOf, drawnChoice, modelOf, reduce } from './model'

const model = modelOf(start())
const air = layer('air_stations')

describe('reduce', () => {
  test('a layer is replaced in its place, a new one comes last', () => {
    const newer: LayerInfo = { ...layer('communes'), version: 9 }
    const { layers } = reduce(model, { event: 'layer', layer: newer }).model
    expect(layers.map((layer) => layer.id)).toEqual(model.layers.map((layer) => layer.id))
    expect(layers.find((layer) => layer.id === 'communes')?.version).toBe(9)
    const added = reduce(model, { event: 'layer', layer: { ...air, id: 'more' } }).model.layers
    expect(added.at(-1)?.id).toBe('more')
    expect(reduce(model, { event: 'layer_removed', id: air.id }).model.layers).toHaveLength(model.layers.length - 1)
  })

  test('a job is kept while it runs', () => {
    const job: Job = { id: 4, kind: 'sync', source: null, title: { vi: 'a', en: 'a' }, done: 1, total: 4, state: 'running' }
    const running = reduce(model, { event: 'job', job }).model
    expect(running.jobs).toEqual([job])
    const further = reduce(running, { event: 'job', job: { ...job, done: 3 } }).model
    expect(further.jobs).toHaveLength(1)
    expect(reduce(further, { event: 'job', job: { ...job, state: 'done' } }).model.jobs).toEqual([])
  })

  test('a notice changes nothing but is told', () => {
    const failure = { code: 'x', message: 'Tệp hỏng', where: {} }
    const change = reduce(model, { event: 'notice', failure, serious: true })
    expect(change.model).toBe(model)
    expect(change.notice).toEqual({ message: 'Tệp hỏng', serious: true })
  })

  test('the earlier model is left as it was', () => {
    const before = structuredClone(model)
    reduce(model, { event: 'session', session: { name: 'N. T. Hạnh', role: 'duty_officer' } })
    reduce(model, { event: 'views', views: [] })
    expect(model).toEqual(before)
  })
})

describe('choices', () => {
  test('the profile’s choice holds until the person made one', () => {
    expect(choiceOf(model.settings, air)).toEqual({ visible: true, opacity: 0.9 })
    const settings = { ...model.settings, layers: { air_stations: { visible: false, opacity: 0.5 } } }
    expect(choiceOf(settings, air)).toEqual({ visible: false, opacity: 0.5 })
  })

  test('one layer alone keeps the base map and hides the others', () => {
    const shown = (solo: string | null) =>
      model.layers.filter((layer) => drawnChoice(model.settings, layer, solo).visible).map((layer) => layer.id)
    expect(shown(null)).toEqual(['communes', 'air_stations'])
    expect(shown('schools')).toEqual(['communes', 'schools'])
  })

  test('a layer the role may not see is never drawn', () => {
    expect(drawnChoice(model.settings, { ...air, allowed: false }, 'air_stations').visible).toBe(false)
  })
})

describe('live tables', () => {
  const record = (ordinal: number, freshness: LiveRecord['freshness']): LiveRecord => ({
    ordinal, freshness, scale: 'aqi', level: 2, value: 78, measuredAt: 0, calibrating: false, faulty: false,
  })

  test('a batch of another version is dropped', () => {
    const live = new LiveTables()
    live.start(start().states)
    expect(live.of(air)).toHaveLength(1)
    expect(live.apply({ layer: 'air_stations', version: 99, records: [record(1, 'fresh')] }, model.layers)).toBe(false)
    expect(live.apply({ layer: 'nobody', version: 1, records: [record(1, 'fresh')] }, model.layers)).toBe(false)
    expect(live.of(air)).toHaveLength(1)
  })

  test('a batch adds to what is known; a newer picture starts empty', () => {
    const live = new LiveTables()
    live.start(start().states)
    expect(live.apply({ layer: 'air_stations', version: 1, records: [record(1, 'stale')] }, model.layers)).toBe(true)
    expect(live.of(air)).toHaveLength(2)
    expect(live.fresh()).toBe(1)
    expect(live.of({ ...air, version: 2 })).toEqual([])
  })
})
