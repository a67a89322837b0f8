import { describe, expect, it } from 'vitest'
import { hasFigure, PointStore, shortNames, shownAs } from './live'
import { layer, record } from './testing'

const air = layer('air_stations', 'air_station', 'point', {
  live: { fresh: 0, stale: 0, offline: 0, error: 0, never: 0, as_of: null, interval_secs: 300, stale_after_secs: 7200 },
})
const water = layer('water_stations', 'water_station', 'point', {
  parameters: [{ code: 'do', title: { vi: 'DO', en: 'DO' }, unit: 'mg/l', decimals: 1, chart: true }] as never,
})
const HOUR = 3_600_000

describe('what a station shows', () => {
  it('fresh_value_stands_in_its_band', () => {
    expect(shownAs(air, record({ value: 167.6, level: 4 }), 0)).toMatchObject({ tc_mark: 'aqi:4:168:fresh', tc_rank: 168 })
  })

  it('offline_station_keeps_its_value_until_the_stale_limit', () => {
    const lost = record({ freshness: 'offline', measuredAt: 0 })
    expect(shownAs(air, lost, 2 * HOUR).tc_mark).toBe('aqi:2:78:offline')
    expect(shownAs(air, lost, 2 * HOUR + 1).tc_mark).toBe('aqi:0::offline')
  })

  it('wrong_or_missing_value_is_never_written', () => {
    expect(shownAs(air, null, 0).tc_mark).toBe('aqi:0::never')
    expect(shownAs(air, record({ freshness: 'error' }), 0).tc_mark).toBe('aqi:0::error')
    expect(shownAs(air, record({ faulty: true }), 0).tc_mark).toBe('aqi:0::error')
    expect(shownAs(air, record({ calibrating: true }), 0).tc_mark).toBe('aqi:0::fresh')
    expect(hasFigure(record({ value: null }), 0, HOUR)).toBe(false)
  })

  it('worst_value_ranks_highest_and_silence_lowest', () => {
    const ranks = [record({ value: 312, level: 6 }), record({ value: 40, level: 1 }), null].map((one) => shownAs(air, one, 0).tc_rank)
    expect(ranks).toEqual([312, 40, -1])
  })

  it('water_station_takes_the_severity_shape_above_a_threshold', () => {
    const state = (level: number) => shownAs(water, record({ scale: 'severity', level, value: 3.25 }), 0)
    expect(state(0)).toMatchObject({ tc_mark: 'facility:water:fresh', tc_level: 0, tc_figure_vi: '3,3\u00A0mg/l' })
    expect(state(3)).toMatchObject({ tc_mark: 'severity:3:fresh', tc_level: 3, tc_figure_en: '3.3\u00A0mg/l' })
  })

  it('camera_has_no_figure', () => {
    const camera = layer('cameras', 'camera', 'point')
    expect(shownAs(camera, record({ scale: 'none', level: 0, value: 25 }), 0)).toMatchObject({
      tc_mark: 'facility:camera:fresh', tc_figure_vi: '',
    })
  })
})

describe('short names', () => {
  it('lose_the_words_all_share', () => {
    expect(shortNames(['Trạm khí Trảng Bàng', 'Trạm khí Long An'])).toEqual(['Trảng Bàng', 'Long An'])
    expect(shortNames(['Trảng Bàng air station', 'Long An air station'])).toEqual(['Trảng Bàng', 'Long An'])
  })

  it('never_vanish', () => {
    expect(shortNames(['Trạm khí', 'Trạm khí'])).toEqual(['Khí', 'Khí'])
    expect(shortNames(['Trạm khí Long An'])).toEqual(['Trạm khí Long An'])
    expect(shortNames([])).toEqual([])
  })
})

describe('point store', () => {
  const collection = {
    type: 'FeatureCollection' as const,
    features: [3, 5].map((id) => ({
      type: 'Feature' as const, id, geometry: { type: 'Point' as const, coordinates: [106, 11] },
      properties: { id: `s${id}`, name: `Trạm khí ${id}`, rank: 'its own' },
    })),
  }

  it('merges_states_that_came_before_the_features', () => {
    const store = new PointStore(air)
    store.apply([record({ ordinal: 3 })], 0)
    store.load(collection, 0)
    expect(store.find('s3')?.properties.tc_mark).toBe('aqi:2:78:fresh')
    expect(store.find('s5')?.properties.tc_mark).toBe('aqi:0::never')
    expect(store.valued()).toBe(1)
  })

  it('reports_only_what_changed', () => {
    const store = new PointStore(air)
    store.load(collection, 0)
    store.collection()
    expect(store.apply([record({ ordinal: 5, value: 90 })], 0)).toBe(true)
    expect(store.difference()?.update?.map((one) => one.id)).toEqual([5])
    expect(store.apply([record({ ordinal: 5, value: 90, measuredAt: 60_000 })], 0)).toBe(false)
    expect(store.difference()).toBeNull()
  })

  it('leaves_the_data_s_own_fields_alone', () => {
    const store = new PointStore(air)
    store.load(collection, 0)
    expect(store.find('s3')?.properties).toMatchObject({ rank: 'its own', tc_rank: -1, tc_label_vi: '3' })
  })

  it('drops_numbers_of_offline_stations_as_time_passes', () => {
    const store = new PointStore(air)
    store.load(collection, 0)
    store.apply([record({ ordinal: 3, freshness: 'offline' })], 0)
    store.difference()
    expect(store.age(HOUR)).toBe(false)
    expect(store.age(3 * HOUR)).toBe(true)
    expect(store.find('s3')?.properties.tc_mark).toBe('aqi:0::offline')
  })

  it('ignores_ordinals_the_layer_does_not_have', () => {
    const store = new PointStore(air)
    store.load(collection, 0)
    expect(store.apply([record({ ordinal: 99 })], 0)).toBe(false)
    expect(store.valued()).toBe(0)
  })
})
