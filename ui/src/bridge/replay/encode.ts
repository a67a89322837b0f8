import { BATCH_FORMAT, CALIBRATING, FAULTY, FRESHNESS, HAS_VALUE, type LiveBatch, RECORD_BYTES, SCALES } from '../batch'

/** Writes a live message as the core does, leading byte included. For the replay and for tests. */
export function encodeBatch({ layer, version, records }: LiveBatch): Uint8Array {
  const name = new TextEncoder().encode(layer)
  const bytes = new Uint8Array(3 + name.length + 8 + records.length * RECORD_BYTES)
  const view = new DataView(bytes.buffer)
  bytes.set([1, BATCH_FORMAT, name.length])
  bytes.set(name, 3)
  let at = 3 + name.length
  view.setUint32(at, version, true)
  view.setUint32(at + 4, records.length, true)
  at += 8
  for (const record of records) {
    const flags =
      (record.value === null ? 0 : HAS_VALUE) | (record.calibrating ? CALIBRATING : 0) | (record.faulty ? FAULTY : 0)
    view.setUint32(at, record.ordinal, true)
    bytes.set([FRESHNESS.indexOf(record.freshness), SCALES.indexOf(record.scale), record.level, flags], at + 4)
    view.setFloat32(at + 8, record.value ?? 0, true)
    view.setFloat64(at + 12, record.measuredAt ?? NaN, true)
    at += RECORD_BYTES
  }
  return bytes
}
