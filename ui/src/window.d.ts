import type { ProvinceMap } from './map'
import type { Desk } from './state/desk.svelte'

declare global {
  interface Window {
    /** Read-only hooks for end-to-end tests. */
    __toancanh?: { readonly map: ProvinceMap; readonly state: Desk }
  }
}
