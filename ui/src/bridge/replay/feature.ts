import type { BBox } from '../types'

/** A feature as the replay in the browser knows it. */
export interface ReplayFeature {
  id: string
  ordinal: number
  name: string
  properties: Record<string, string | number | boolean | null>
  point: [number, number]
  bbox: BBox
  line: boolean
}
