/** The shapes the map takes in and hands out. The core's own shapes come from the bridge's generated types. */
import type { LiveRecord } from '../bridge/batch'
import type { BasemapInfo } from '../bridge/generated/BasemapInfo'
import type { BBox } from '../bridge/generated/BBox'
import type { FeatureRef } from '../bridge/generated/FeatureRef'
import type { Freshness } from '../bridge/generated/Freshness'
import type { MapCamera } from '../bridge/generated/MapCamera'
import type { ProfileInfo } from '../bridge/generated/ProfileInfo'

export type { BasemapInfo, BBox, FeatureRef, Freshness, LiveRecord, MapCamera, ProfileInfo }
export type { LayerChoice } from '../bridge/generated/LayerChoice'
export type { LayerInfo } from '../bridge/generated/LayerInfo'
export type { LayerKind } from '../bridge/generated/LayerKind'

export type MapTheme = 'dark' | 'light'
export type MapLanguage = 'vi' | 'en'

export interface MapPadding {
  left: number
  right: number
  top: number
  bottom: number
}

export interface MapCallbacks {
  /** The camera moved; at most once a frame. `scale` is the denominator 1:n at the centre. */
  moved(camera: MapCamera, bounds: [number, number, number, number], scale: number): void
  /** Where the pointer is, or null when it left the map. */
  pointer(lonlat: [number, number] | null): void
  /** A person chose a feature, or the empty map. */
  selected(ref: FeatureRef | null): void
  /** Everything visible is drawn; `drawnLive` live values are among it, fresh or not. */
  idle(drawnLive: number): void
  /** A layer could not be read (its id), or the map itself failed (null). */
  failed(layer: string | null, message: string): void
}

export interface MapOptions {
  /** Root of the `tiles:` scheme, without a trailing slash. */
  tilesBase: string
  profile: ProfileInfo
  theme: MapTheme
  language: MapLanguage
  /** Null shows the whole province. */
  camera: MapCamera | null
  callbacks: MapCallbacks
  /** What a screen reader calls the map; the province's title when absent. */
  label?: string
}
