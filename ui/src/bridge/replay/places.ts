/** Places for the replay: near enough to look right; the core measures and projects properly. */
import type { BBox, GridPoint } from '../types'

const RAD = Math.PI / 180
const EARTH_M = 6_371_008.8

export function distance([lon1, lat1]: [number, number], [lon2, lat2]: [number, number]): number {
  const h =
    Math.sin(((lat2 - lat1) * RAD) / 2) ** 2 +
    Math.cos(lat1 * RAD) * Math.cos(lat2 * RAD) * Math.sin(((lon2 - lon1) * RAD) / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.sqrt(h))
}

/** On a sphere about a meridian: some hundred metres beside the true VN-2000 place. */
export function grid(epsg: number, meridian: string, [lon, lat]: [number, number]): GridPoint {
  const [degrees = 0, minutes = 0] = meridian.split(/[°′]/).map(Number)
  const away = (lon - degrees - minutes / 60) * RAD
  const east_m = 500_000 + 0.9999 * 6_378_137 * away * Math.cos(lat * RAD)
  return { epsg, meridian, north_m: 0.9999 * 110_574 * lat + 900, east_m }
}

export const inside = ([lon, lat]: [number, number], [w, s, e, n]: BBox): boolean => lon >= w && lon <= e && lat >= s && lat <= n
