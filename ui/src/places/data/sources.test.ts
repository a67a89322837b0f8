import { afterEach, describe, expect, test } from 'vitest'
import type { Job, LayerInfo, SourceHealth } from '../../bridge'
import { setLanguage } from '../../shared/i18n.svelte'
import { layer as fixture } from '../../state/fixture'
import {
  ageText, asOfText, countStates, countText, filterSources, groupLayers, jobOf, nextText, originText, pauseBar, rowAfter, sortSources,
  standText, stateOf, syncBar, troubleText,
} from './sources'

const ZONE = 'Asia/Ho_Chi_Minh'
/** 14:03 in the province. */
const NOW = Date.parse('2026-11-23T07:03:00Z')
const MINUTE = 60_000

function source(id: string, change: Partial<SourceHealth> = {}): SourceHealth {
  return {
    id, title: { vi: id, en: id }, protocol: 'ogc-api-features', url: `https://example.vn/${id}`, practice: false, link: 'up',
    freshness: 'fresh', answered_at: '2026-11-23T07:00:00Z', lost_at: null, next_try_at: null, last_error: null, added: false,
    layers: [],
    paused: false, breaker: 'closed', resting_until: null, next_run_at: null, runs: [], login: null,
    ...change,
  }
}

const layer = (id: string, change: Partial<LayerInfo> = {}): LayerInfo => ({ ...fixture('schools'), id, ...change })
const job = (kind: string, source: string | null = null): Job => ({ id: 1, kind, source, title: { vi: 'a', en: 'a' }, done: 0, total: 0, state: 'running' })

afterEach(() => setLanguage('vi'))

describe('the order and the states of sources', () => {
  test('what needs a person comes first, then the title', () => {
    const all = [
      source('đường'), source('cầu'), source('never', { freshness: 'never', answered_at: null }),
      source('late', { freshness: 'stale' }), source('lost', { link: 'lost', freshness: 'offline' }),
      source('wrong', { freshness: 'error', last_error: '502' }), source('dân cư'),
    ]
    const ids = sortSources(all, 'vi').map(({ id }) => id)
    expect(ids).toEqual(['wrong', 'lost', 'late', 'never', 'cầu', 'dân cư', 'đường'])
    expect(all[0]?.id).toBe('đường')
  })

  test('a server that never answered and is lost counts as disconnected', () => {
    expect(stateOf(source('a', { link: 'lost', freshness: 'never', answered_at: null }))).toBe('offline')
    expect(stateOf(source('a', { link: 'unknown', freshness: 'never', answered_at: null }))).toBe('never')
  })

  test('are found by words of their title, address or protocol, without diacritics', () => {
    const all = [source('truong', { title: { vi: 'Trường học', en: 'Schools' } }), source('tram', { protocol: 'sensorthings' })]
    const found = (text: string) => filterSources(all, text).map(({ id }) => id)
    expect(found('truong hoc')).toEqual(['truong'])
    expect(found('example tram')).toEqual(['tram'])
    expect(found('sensor')).toEqual(['tram'])
    expect(found(' ')).toEqual(['truong', 'tram'])
    expect(found('xe buýt')).toEqual([])
  })

  test('only states that occur are counted', () => {
    const states = countStates([source('a'), source('b', { link: 'lost' }), source('c')])
    expect(states).toEqual([{ state: 'fresh', count: 2 }, { state: 'offline', count: 1 }])
    expect(states.map(({ state, count }) => countText(state, count))).toEqual(['2 mới', '1 mất kết nối'])
  })
})

describe('layers', () => {
  test('stand under each of their sources, the rest at the end', () => {
    const [schools, air, communes] = [layer('schools'), layer('air_stations'), layer('communes')]
    const features = source('features', { layers: ['air_stations', 'schools'] })
    const stations = source('stations', { layers: ['air_stations'] })
    const groups = groupLayers([features, stations, source('empty')], [schools, air, communes])
    expect(groups.map((group) => [group.source?.id ?? null, group.layers.map(({ id }) => id)])).toEqual([
      ['features', ['schools', 'air_stations']],
      ['stations', ['air_stations']],
      [null, ['communes']],
    ])
    expect(groupLayers([], [])).toEqual([])
  })

  test('their content is a source’s, the profile’s or a file’s', () => {
    const sources = [source('features', { title: { vi: 'Trung tâm', en: 'Centre' } })]
    const of = (name: string) => originText(layer('schools', { source: name }), sources)
    expect(of('features')).toBe('Trung tâm')
    expect(of('profile')).toBe('Hồ sơ tỉnh')
    expect(of('truong_hoc.xlsx')).toBe('Nhập tay từ truong_hoc.xlsx')
    expect(of('old_centre')).toBe('Nguồn old_centre, nay không hỏi nữa')
    expect(of('')).toBe('Chưa có nội dung')
  })

  test('live ones tell the time of their newest value, others the day', () => {
    const counts = { fresh: 1, stale: 0, offline: 0, error: 0, never: 0, interval_secs: 300, stale_after_secs: 7200 }
    const as_of = '2026-11-22T17:00:00Z'
    expect(asOfText(layer('a', { as_of, live: { ...counts, as_of: '2026-11-23T07:00:00Z' } }), ZONE)).toBe('14:00 23/11/2026')
    expect(asOfText(layer('a', { as_of, live: { ...counts, as_of: null } }), ZONE)).toBe('23/11/2026')
    expect(asOfText(layer('a', { as_of: null }), ZONE)).toBe('–')
  })
})

describe('words', () => {
  test('ages are told in one unit, hours with their minutes', () => {
    const texts = [-5_000, 59_999, MINUTE, 172 * MINUTE, 120 * MINUTE, 1439 * MINUTE, 1440 * MINUTE, 14.9 * 1440 * MINUTE].map(ageText)
    expect(texts).toEqual([
      'dưới 1 phút', 'dưới 1 phút', '1 phút', '2 giờ 52 phút', '2 giờ', '23 giờ 59 phút', '1 ngày', '14 ngày',
    ])
    setLanguage('en')
    expect(ageText(61 * MINUTE)).toBe('1 hour 1 minute')
  })

  test('the next run is a time, or why there is none', () => {
    const next = (change: Partial<SourceHealth>, jobs: Job[] = []) => nextText(source('a', change), jobs, NOW, ZONE)
    const next_run_at = '2026-11-23T07:08:00Z'
    expect(next({ next_run_at })).toBe('14:08')
    expect(next({ next_run_at: '2026-11-24T07:30:00Z' })).toBe('14:30 24/11/2026')
    expect(next({ next_run_at: '2026-11-23T07:02:59Z' })).toBe('đang hỏi')
    expect(next({})).toBe('đang hỏi')
    expect(next({ protocol: 'sensorthings' })).toBe('nhận liên tục')
    expect(next({ protocol: 'sensorthings', link: 'lost' })).toBe('đang hỏi')
    expect(next({ next_run_at, next_try_at: next_run_at })).toBe('thử lại 14:08')
    expect(next({ next_try_at: '2026-11-23T07:30:00Z' })).toBe('thử lại 14:30')
    expect(next({ paused: true })).toBe('tạm dừng')
    const resting_until = '2026-11-23T07:20:00Z'
    expect(next({ next_run_at: resting_until, breaker: 'open', resting_until })).toBe('đang nghỉ')
    // Asked by hand, whatever the schedule says.
    expect(next({ paused: true }, [job('sync', 'a')])).toBe('đang hỏi')
    expect(next({ next_run_at }, [job('sync', 'b'), job('sync'), job('import', 'a')])).toBe('14:08')
  })

  test('a pause, a rest and a probe are named and explained', () => {
    const word = (change: Partial<SourceHealth>) => standText(source('a', change), NOW, ZONE)?.word
    expect(standText(source('a'), NOW, ZONE)).toBeNull()
    expect(word({ breaker: 'open', resting_until: '2026-11-23T07:20:00Z' })).toBe('Đang nghỉ tới 14:20')
    expect(word({ breaker: 'open', resting_until: '2026-11-23T07:00:00Z' })).toBe('Đang hỏi thử')
    expect(word({ breaker: 'half_open' })).toBe('Đang hỏi thử')
    expect(word({ paused: true, breaker: 'open', resting_until: '2026-11-23T07:20:00Z' })).toBe('Tạm dừng')
  })

  test('a sync belongs to the source it names', () => {
    const [own, all] = [job('sync', 'a'), job('sync')]
    expect(jobOf('a', [all, own])).toBe(own)
    expect(jobOf('b', [all, own])).toBeNull()
  })

  test('only administrators pause', () => {
    expect(pauseBar('administrator')).toBeNull()
    expect(pauseBar('duty_officer')).toBe('Tạm dừng cần quyền Quản trị')
  })

  test('trouble is the core’s own sentence, or since when the line is down', () => {
    expect(troubleText(source('a'), NOW, ZONE)).toBeNull()
    expect(troubleText(source('a', { last_error: 'HTTP 502 từ example.vn' }), NOW, ZONE)).toBe('HTTP 502 từ example.vn')
    const lost = source('a', { link: 'lost', lost_at: '2026-11-23T06:50:00Z' })
    expect(troubleText(lost, NOW, ZONE)).toBe('Mất kết nối từ 13:50')
  })

  test('a guest may not sync, and nobody while one runs', () => {
    expect(syncBar('guest', [])).toBe('Đồng bộ cần quyền Người xem')
    expect(syncBar('viewer', [])).toBeNull()
    expect(syncBar('viewer', [job('import')])).toBeNull()
    expect(syncBar('administrator', [job('sync')])).toBe('Đang có việc đồng bộ')
  })
})

test('keys walk the rows and stop at both ends', () => {
  const ids = ['a', 'b', 'c']
  expect(['ArrowDown', 'ArrowUp', 'Home', 'End'].map((key) => rowAfter(key, ids, 'b'))).toEqual(['c', 'a', 'a', 'c'])
  expect(rowAfter('ArrowDown', ids, 'c')).toBe('c')
  expect(rowAfter('ArrowUp', ids, 'a')).toBe('a')
  expect(rowAfter('ArrowDown', ids, 'gone')).toBe('a')
  expect(rowAfter('x', ids, 'a')).toBeNull()
  expect(rowAfter('End', [], '')).toBeNull()
})
