/** The live values as the map draws them: one table a layer, dropped when the layer's picture is replaced. */
import { type LayerInfo, type LayerStates, type LiveBatch, type LiveRecord, recordOf } from '../bridge'

interface Table {
  version: number
  records: Map<number, LiveRecord>
}

export class LiveTables {
  #tables = new Map<string, Table>()

  start(states: LayerStates[]): void {
    this.#tables.clear()
    for (const { layer, version, states: all } of states) {
      this.#tables.set(layer, { version, records: new Map(all.map((state) => [state.ordinal, recordOf(state)])) })
    }
  }

  /** Takes a batch in; false when it belongs to another picture of the layer than the one shown. */
  apply(batch: LiveBatch, layers: LayerInfo[]): boolean {
    const layer = layers.find((layer) => layer.id === batch.layer)
    if (!layer || layer.version !== batch.version) return false
    let table = this.#tables.get(batch.layer)
    if (!table || table.version !== batch.version) {
      table = { version: batch.version, records: new Map() }
      this.#tables.set(batch.layer, table)
    }
    for (const record of batch.records) table.records.set(record.ordinal, record)
    return true
  }

  /** All known records of a layer's current picture, for a map that starts or a layer that was swapped. */
  of(layer: LayerInfo): LiveRecord[] {
    const table = this.#tables.get(layer.id)
    return table && table.version === layer.version ? [...table.records.values()] : []
  }

  /** How many values are fresh, over all layers. */
  fresh(): number {
    let count = 0
    for (const { records } of this.#tables.values()) {
      for (const record of records.values()) if (record.freshness === 'fresh') count++
    }
    return count
  }
}
