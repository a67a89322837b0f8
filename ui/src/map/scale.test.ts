import { describe, expect, it } from 'vitest'
import { metresPerPixel, scaleBar, scaleDenominator } from './scale'

describe('scale', () => {
  it('halves_with_every_zoom_level', () => {
    expect(metresPerPixel(9, 11) / metresPerPixel(10, 11)).toBeCloseTo(2, 9)
  })

  it('matches_the_design_at_its_zoom', () => {
    // 1 : 615 000 at 11°: 615 000 × 0.264583 mm = 162.7 m a pixel.
    const zoom = Math.log2((40_075_016.686 * Math.cos((11 * Math.PI) / 180)) / (512 * 615_000 * (0.0254 / 96)))
    expect(scaleDenominator(zoom, 11)).toBe(615_000)
  })

  it('is_rounded_to_three_digits', () => {
    expect(scaleDenominator(15, 11) % 10).toBe(0)
    expect(String(scaleDenominator(8.81, 11.07)).replace(/0+$/, '').length).toBeLessThanOrEqual(3)
  })

  it('bar_is_the_longest_round_length_that_fits', () => {
    const bar = scaleBar(615_000, 130)
    expect(bar.metres).toBe(20_000)
    expect(bar.px).toBeCloseTo(122.9, 1)
    for (const denominator of [900, 12_345, 646_000]) {
      const { metres, px } = scaleBar(denominator, 100)
      expect(px).toBeLessThanOrEqual(100)
      expect(px).toBeGreaterThan(40)
      expect([1, 2, 5]).toContain(metres / 10 ** Math.floor(Math.log10(metres)))
    }
  })
})
