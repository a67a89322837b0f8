/** The shapes that carry a level in greyscale: VN_AQI 1–6 and severity 1–4 (DESIGN.md, map symbology). In a 20 × 20 box. */

/** A regular polygon around (10, 10); `turn` in degrees moves the first corner, 0 is east. */
function polygon(corners: number, radius: number, turn: number): string {
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = ((turn + (360 / corners) * i) * Math.PI) / 180
    return `${(10 + radius * Math.cos(angle)).toFixed(2)} ${(10 + radius * Math.sin(angle)).toFixed(2)}`
  })
  return `M${points.join('L')}Z`
}

const circle = 'M2.6 10a7.4 7.4 0 1 0 14.8 0a7.4 7.4 0 1 0-14.8 0Z'
const octagon = polygon(8, 8.3, 22.5)

/** Circle, square, diamond, pentagon, hexagon, octagon. */
export const AQI_SHAPES: readonly string[] = [
  circle,
  'M3.35 3.35h13.3v13.3h-13.3Z',
  polygon(4, 9.62, 0),
  polygon(5, 8.73, -90),
  polygon(6, 8.29, 0),
  octagon,
]

/** The inner ring of the octagon, so that the worst band differs from its neighbour by more than a corner count. */
export const AQI_RING = polygon(8, 6.05, 22.5)

/** Circle, triangle, diamond, octagon: info, warn, serious, critical. */
export const SEVERITY_SHAPES: readonly string[] = [circle, 'M10 1.8L19 17.4H1Z', polygon(4, 9.12, 0), octagon]

/** The bands of VN_AQI: upper ends (Decision 1459/QĐ-TCMT). */
export const AQI_ENDS: readonly number[] = [50, 100, 150, 200, 300, 500]
