import type { FeatureState, Freshness, Scale } from './types'

/** One feature's live state as the map draws it: a batch's record, or a start state in the same form. */
export interface LiveRecord {
  ordinal: number
  freshness: Freshness
  scale: Scale
  level: number
  value: number | null
  /** Milliseconds since 1970. */
  measuredAt: number | null
  calibrating: boolean
  faulty: boolean
}

/** The live values of one layer that changed. Counts only while the layer's picture has this version. */
export interface LiveBatch {
  layer: string
  version: number
  records: LiveRecord[]
}

export const FRESHNESS: readonly Freshness[] = ['fresh', 'stale', 'offline', 'error', 'never']
export const SCALES: readonly Scale[] = ['none', 'aqi', 'severity']
export const BATCH_FORMAT = 1
export const RECORD_BYTES = 20
export const HAS_VALUE = 1
export const CALIBRATING = 2
export const FAULTY = 4

/**
 * Reads a live batch (little-endian, nothing padded), without the message's leading byte.
 *
 * Throws when the bytes are no batch: the core and the window are then of different versions.
 */
export function decodeBatch(bytes: Uint8Array): LiveBatch {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 2 || view.getUint8(0) !== BATCH_FORMAT) throw new RangeError(`live batch of format ${bytes[0]}`)
  const nameLength = view.getUint8(1)
  let at = 2 + nameLength
  if (bytes.length < at + 8) throw new RangeError(`live batch cut at ${bytes.length} bytes`)
  const layer = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(2, at))
  const version = view.getUint32(at, true)
  const count = view.getUint32(at + 4, true)
  at += 8
  if (bytes.length !== at + count * RECORD_BYTES) {
    throw new RangeError(`live batch of ${layer}: ${count} records announced, ${bytes.length - at} bytes came`)
  }
  const records: LiveRecord[] = new Array(count)
  for (let i = 0; i < count; i++, at += RECORD_BYTES) {
    const flags = view.getUint8(at + 7)
    const value = view.getFloat32(at + 8, true)
    const measured = view.getFloat64(at + 12, true)
    records[i] = {
      ordinal: view.getUint32(at, true),
      freshness: FRESHNESS[view.getUint8(at + 4)] ?? 'error',
      scale: SCALES[view.getUint8(at + 5)] ?? 'none',
      level: view.getUint8(at + 6),
      value: flags & HAS_VALUE && Number.isFinite(value) ? value : null,
      measuredAt: Number.isNaN(measured) ? null : measured,
      calibrating: (flags & CALIBRATING) !== 0,
      faulty: (flags & FAULTY) !== 0,
    }
  }
  return { layer, version, records }
}

/** A state from `start` in a batch record's form. */
export function recordOf(state: FeatureState): LiveRecord {
  return {
    ordinal: state.ordinal,
    freshness: state.freshness,
    scale: state.scale,
    level: state.level,
    value: state.value,
    measuredAt: state.measured_at === null ? null : Date.parse(state.measured_at),
    calibrating: state.status === 'calibrating',
    faulty: state.status === 'faulty',
  }
}
