/** The icons in use: Lucide (ISC, assets/fonts/LUCIDE-ISC.txt), inlined, and one of our own. */
import arrowLeftRight from 'lucide-static/icons/arrow-left-right.svg?raw'
import arrowRight from 'lucide-static/icons/arrow-right.svg?raw'
import bookmark from 'lucide-static/icons/bookmark.svg?raw'
import cctv from 'lucide-static/icons/cctv.svg?raw'
import check from 'lucide-static/icons/check.svg?raw'
import chevronDown from 'lucide-static/icons/chevron-down.svg?raw'
import chevronRight from 'lucide-static/icons/chevron-right.svg?raw'
import compass from 'lucide-static/icons/compass.svg?raw'
import copy from 'lucide-static/icons/copy.svg?raw'
import cross from 'lucide-static/icons/cross.svg?raw'
import droplet from 'lucide-static/icons/droplet.svg?raw'
import droplets from 'lucide-static/icons/droplets.svg?raw'
import eye from 'lucide-static/icons/eye.svg?raw'
import eyeOff from 'lucide-static/icons/eye-off.svg?raw'
import factory from 'lucide-static/icons/factory.svg?raw'
import fileUp from 'lucide-static/icons/file-up.svg?raw'
import folderOpen from 'lucide-static/icons/folder-open.svg?raw'
import graduationCap from 'lucide-static/icons/graduation-cap.svg?raw'
import hardDrive from 'lucide-static/icons/hard-drive.svg?raw'
import info from 'lucide-static/icons/info.svg?raw'
import landPlot from 'lucide-static/icons/land-plot.svg?raw'
import landmark from 'lucide-static/icons/landmark.svg?raw'
import languages from 'lucide-static/icons/languages.svg?raw'
import listFilter from 'lucide-static/icons/list-filter.svg?raw'
import loaderCircle from 'lucide-static/icons/loader-circle.svg?raw'
import locate from 'lucide-static/icons/locate.svg?raw'
import lock from 'lucide-static/icons/lock.svg?raw'
import logIn from 'lucide-static/icons/log-in.svg?raw'
import logOut from 'lucide-static/icons/log-out.svg?raw'
import map from 'lucide-static/icons/map.svg?raw'
import mapPin from 'lucide-static/icons/map-pin.svg?raw'
import minus from 'lucide-static/icons/minus.svg?raw'
import moon from 'lucide-static/icons/moon.svg?raw'
import mousePointer2 from 'lucide-static/icons/mouse-pointer-2.svg?raw'
import moveRight from 'lucide-static/icons/move-right.svg?raw'
import pause from 'lucide-static/icons/pause.svg?raw'
import pencil from 'lucide-static/icons/pencil.svg?raw'
import play from 'lucide-static/icons/play.svg?raw'
import plug from 'lucide-static/icons/plug.svg?raw'
import plus from 'lucide-static/icons/plus.svg?raw'
import refreshCw from 'lucide-static/icons/refresh-cw.svg?raw'
import route from 'lucide-static/icons/route.svg?raw'
import search from 'lucide-static/icons/search.svg?raw'
import settings from 'lucide-static/icons/settings.svg?raw'
import shapes from 'lucide-static/icons/shapes.svg?raw'
import spline from 'lucide-static/icons/spline.svg?raw'
import squareX from 'lucide-static/icons/square-x.svg?raw'
import star from 'lucide-static/icons/star.svg?raw'
import sun from 'lucide-static/icons/sun.svg?raw'
import trash2 from 'lucide-static/icons/trash-2.svg?raw'
import trendingDown from 'lucide-static/icons/trending-down.svg?raw'
import trendingUp from 'lucide-static/icons/trending-up.svg?raw'
import triangleAlert from 'lucide-static/icons/triangle-alert.svg?raw'
import undo2 from 'lucide-static/icons/undo-2.svg?raw'
import upload from 'lucide-static/icons/upload.svg?raw'
import user from 'lucide-static/icons/user.svg?raw'
import videoOff from 'lucide-static/icons/video-off.svg?raw'
import warehouse from 'lucide-static/icons/warehouse.svg?raw'
import waves from 'lucide-static/icons/waves.svg?raw'
import x from 'lucide-static/icons/x.svg?raw'
import gate from './gate.svg?raw'

/** What is drawn inside the 24 × 24 box. */
const inner = (svg: string): string => svg.replace(/^[\s\S]*?<svg[^>]*>|<\/svg>\s*$/g, '')

export const ICONS = {
  'arrow-left-right': inner(arrowLeftRight),
  'arrow-right': inner(arrowRight),
  bookmark: inner(bookmark),
  cctv: inner(cctv),
  check: inner(check),
  'chevron-down': inner(chevronDown),
  'chevron-right': inner(chevronRight),
  compass: inner(compass),
  copy: inner(copy),
  cross: inner(cross),
  droplet: inner(droplet),
  droplets: inner(droplets),
  eye: inner(eye),
  'eye-off': inner(eyeOff),
  factory: inner(factory),
  'file-up': inner(fileUp),
  'folder-open': inner(folderOpen),
  gate: inner(gate),
  'graduation-cap': inner(graduationCap),
  'hard-drive': inner(hardDrive),
  info: inner(info),
  'land-plot': inner(landPlot),
  landmark: inner(landmark),
  languages: inner(languages),
  'list-filter': inner(listFilter),
  'loader-circle': inner(loaderCircle),
  locate: inner(locate),
  lock: inner(lock),
  'log-in': inner(logIn),
  'log-out': inner(logOut),
  map: inner(map),
  'map-pin': inner(mapPin),
  minus: inner(minus),
  moon: inner(moon),
  'mouse-pointer-2': inner(mousePointer2),
  'move-right': inner(moveRight),
  pause: inner(pause),
  pencil: inner(pencil),
  play: inner(play),
  plug: inner(plug),
  plus: inner(plus),
  'refresh-cw': inner(refreshCw),
  route: inner(route),
  search: inner(search),
  settings: inner(settings),
  shapes: inner(shapes),
  spline: inner(spline),
  'square-x': inner(squareX),
  star: inner(star),
  sun: inner(sun),
  'trash-2': inner(trash2),
  'trending-down': inner(trendingDown),
  'trending-up': inner(trendingUp),
  'triangle-alert': inner(triangleAlert),
  'undo-2': inner(undo2),
  upload: inner(upload),
  user: inner(user),
  'video-off': inner(videoOff),
  warehouse: inner(warehouse),
  waves: inner(waves),
  x: inner(x),
} as const

export type IconName = keyof typeof ICONS
