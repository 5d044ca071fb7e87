// `moldau format`: prepares a node's directory ahead of its first start, as Kafka's storage tool does (StorageTool.scala).
// moldau needs no such step; it is for those who want to name the cluster themselves, or to start Kafka on the directory.
import { MoldauError } from '../protocol/failure.ts'
import { NodeFiles } from '../storage/files-node.ts'
import { formatAhead } from '../storage/log-directory.ts'
import { systemClock, systemRandom } from './clock.ts'
import type { Sources } from './config/sources.ts'
import { loadConfig } from './config.ts'
import { bootstrapCheckpoint } from './controller-open.ts'

export interface FormatOptions {
  readonly file: NonNullable<Sources['file']>
  readonly clusterId: string
  readonly ignoreFormatted: boolean
  readonly standalone: boolean
}

const CLUSTER_ID = /^[\w-]{1,64}$/

/** What was done, in a line for people. Throws MoldauError where it cannot be done. */
export async function format({ file, clusterId, ignoreFormatted, standalone }: FormatOptions): Promise<string> {
  if (!CLUSTER_ID.test(clusterId)) {
    throw new MoldauError('ERR_CONFIG', `--cluster-id ${clusterId}: must be letters, digits, _ and -, best 22 of them`)
  }
  const { config } = loadConfig({ file })
  if (standalone && config.voters.length > 0) {
    throw new MoldauError('ERR_CONFIG', '--standalone: controller.quorum.voters names the controllers already')
  }
  const own = config.get('moldau.cluster.id')
  if (own !== null && own !== clusterId) {
    throw new MoldauError('ERR_CONFIG', `--cluster-id ${clusterId}: moldau.cluster.id is ${own}`)
  }
  const directory = config.dataDirectory
  const isNew = await formatAhead({
    ...{ directory, clusterId, nodeId: config.nodeId },
    files: new NodeFiles(),
    random: systemRandom,
    clock: systemClock,
    bootstrapCheckpoint: () => bootstrapCheckpoint(systemClock.nowMs())
  })
  if (isNew) return `formatted log directory ${directory} for node ${config.nodeId} of cluster ${clusterId}`
  if (ignoreFormatted) return `log directory ${directory} is formatted already`
  throw new MoldauError(
    'ERR_WRONG_DIRECTORY',
    `log directory ${directory}: it is formatted already; --ignore-formatted takes that for good`
  )
}
