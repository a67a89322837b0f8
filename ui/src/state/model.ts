/**
 * What the window knows, and how each event changes it. Pure: every answer comes from the core, nothing is decided here.
 */
import type { Event, Job, LayerChoice, LayerInfo, Settings, Start } from '../bridge'

export type Model = Omit<Start, 'states' | 'open'>

export interface Notice {
  message: string
  /** Stays until it is closed. */
  serious: boolean
}

export interface Change {
  model: Model
  notice: Notice | null
}

export function modelOf(start: Start): Model {
  const { version, home, profile, layers, sources, settings, session, views, jobs } = start
  return { version, home, profile, layers, sources, settings, session, views, jobs }
}

/** The model after an event, and what the person should be told. */
export function reduce(model: Model, event: Event): Change {
  const quiet = (change: Partial<Model>): Change => ({ model: { ...model, ...change }, notice: null })
  switch (event.event) {
    case 'layer':
      return quiet({ layers: put(model.layers, event.layer, (layer) => layer.id) })
    case 'layer_removed':
      return quiet({ layers: model.layers.filter((layer) => layer.id !== event.id) })
    case 'sources':
      return quiet({ sources: event.sources })
    case 'job':
      return quiet({ jobs: jobsAfter(model.jobs, event.job) })
    case 'settings':
      return quiet({ settings: event.settings })
    case 'session':
      return quiet({ session: event.session })
    case 'views':
      return quiet({ views: event.views })
    case 'tile_set':
    case 'basemaps':
      // Kept by themselves (`Basemaps`).
      return quiet({})
    case 'notice':
      return { model, notice: { message: event.failure.message, serious: event.serious } }
  }
}

/** Replaces in place, so that the order of the list (and of drawing) holds. */
function put<T>(list: T[], item: T, key: (item: T) => unknown): T[] {
  const at = list.findIndex((other) => key(other) === key(item))
  return at < 0 ? [...list, item] : list.with(at, item)
}

/** Only running jobs are kept; how one ended is told by the notice of its end. */
function jobsAfter(jobs: Job[], job: Job): Job[] {
  return job.state === 'running' ? put(jobs, job, (other) => other.id) : jobs.filter((other) => other.id !== job.id)
}

/** What the person chose for a layer, or what the profile shows at the first start. */
export function choiceOf(settings: Settings, layer: LayerInfo): LayerChoice {
  return settings.layers[layer.id] ?? { visible: layer.visible, opacity: layer.opacity }
}

/** The group whose layers are the ground under all others; showing one layer alone keeps it. */
const BASE_GROUP = 'base'

/** A layer as it is drawn: the choice, its permission, and whether one layer alone is shown for the moment. */
export function drawnChoice(settings: Settings, layer: LayerInfo, solo: string | null): LayerChoice {
  const choice = choiceOf(settings, layer)
  const hidden = !layer.allowed || (solo !== null && layer.id !== solo && layer.group !== BASE_GROUP)
  const visible = !hidden && (choice.visible || layer.id === solo)
  return { visible, opacity: choice.opacity }
}
