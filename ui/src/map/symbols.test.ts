import { describe, expect, it } from 'vitest'
import { type MapSymbol, parseSymbolId, symbolId } from './symbols'

const ALL: MapSymbol[] = [
  { kind: 'aqi', level: 4, figure: 168, freshness: 'fresh' },
  { kind: 'aqi', level: 1, figure: 0, freshness: 'stale' },
  { kind: 'aqi', level: 0, figure: null, freshness: 'never' },
  { kind: 'severity', level: 3, freshness: 'offline' },
  { kind: 'facility', icon: 'camera', freshness: 'error' },
  { kind: 'cluster', icon: 'school', count: 1012 },
  { kind: 'ring', radius: 24 },
  { kind: 'hatch', of: 'draft' },
  { kind: 'wedge' },
  { kind: 'town' },
  { kind: 'peak' },
  { kind: 'shield' },
]

describe('symbol ids', () => {
  it('read_back_as_what_was_written', () => {
    for (const theme of ['dark', 'light'] as const) {
      for (const symbol of ALL) expect(parseSymbolId(symbolId(symbol, theme))).toEqual({ symbol, theme })
    }
  })

  it('say_what_the_picture_shows', () => {
    const [first] = ALL
    expect(first && symbolId(first, 'dark')).toBe('aqi:4:168:fresh:dark')
  })

  it('of_unknown_form_are_refused', () => {
    for (const id of [
      '', 'dark', 'aqi', 'aqi:7:10:fresh:dark', 'aqi:2:1e3:fresh:dark', 'aqi:2::fresh', 'aqi:2:-4:fresh:dark',
      'severity:0:fresh:dark', 'facility:toString:fresh:dark', 'facility:camera:old:dark', 'cluster:camera::dark',
      'ring:9999:dark', 'hatch:plaid:light', 'wedge:3:dark', 'aqi:2:50:fresh:sepia',
    ]) {
      expect(parseSymbolId(id), id).toBeNull()
    }
  })
})
