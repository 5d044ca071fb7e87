// Checks of settings against each other, and refusals of what is not built yet: clear words at the start instead of a
// broker that does something else than it was told (KafkaConfig.scala, validateValues).
import { MoldauError } from '../../protocol/failure.ts'
import type { BrokerKey, ValueOf } from './table.ts'

export interface Settings {
  get<K extends BrokerKey>(key: K): ValueOf<K>
}

/** Throws ERR_CONFIG for the first thing that does not fit. Returns the one data directory. */
export function checkTogether(settings: Settings): string {
  checkRoles(settings)
  checkLimits(settings)
  if (settings.get('authorizer.class.name') !== '') {
    fail('authorizer.class.name must be empty: ACLs are not built yet, and without them everybody may do everything')
  }
  return dataDirectory(settings)
}

function checkRoles(settings: Settings): void {
  const roles = settings.get('process.roles')
  if (!roles.includes('broker') || !roles.includes('controller')) {
    fail(`process.roles=${roles.join(',')}: a node is both for now; allowed is broker,controller`)
  }
}

function dataDirectory(settings: Settings): string {
  const directories = (settings.get('log.dirs') ?? settings.get('log.dir')).filter(each => each !== '')
  const [only, ...others] = directories
  if (only === undefined) return fail('log.dirs: a directory is needed')
  if (others.length > 0) fail(`log.dirs=${directories.join(',')}: more than one directory is not built yet`)
  const metadata = settings.get('metadata.log.dir')
  if (metadata !== null && metadata !== '' && metadata !== only) {
    fail(
      `metadata.log.dir=${metadata}: a directory of its own for metadata is not built yet; leave it out, or give ${only}`
    )
  }
  return only
}

function checkLimits(settings: Settings): void {
  if (!settings.get('group.coordinator.rebalance.protocols').includes('classic')) {
    fail('group.coordinator.rebalance.protocols: classic cannot be left out')
  }
  const queued = settings.get('queued.max.request.bytes')
  const largest = settings.get('socket.request.max.bytes')
  if (queued > 0 && queued < largest) {
    fail(`queued.max.request.bytes=${queued} must be at least socket.request.max.bytes (${largest}), or -1`)
  }
  if (settings.get('group.min.session.timeout.ms') > settings.get('group.max.session.timeout.ms')) {
    fail('group.min.session.timeout.ms must not be above group.max.session.timeout.ms')
  }
  if (settings.get('log.cleaner.min.compaction.lag.ms') > settings.get('log.cleaner.max.compaction.lag.ms')) {
    fail('log.cleaner.min.compaction.lag.ms must not be above log.cleaner.max.compaction.lag.ms')
  }
}

function fail(message: string): never {
  throw new MoldauError('ERR_CONFIG', message)
}
