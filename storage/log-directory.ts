// One log directory as a whole: made, locked, known by its meta.properties, refused when it is somebody else's. All that
// is checked here happens before the first partition is touched; each refusal is one MoldauError with one clear line.
// Where several nodes make a cluster, a new directory has no cluster id until the cluster has one: it is pending.
import path from 'node:path'
import { isFailure, MoldauError } from '../protocol/failure.ts'
import type { BrokerId, Uuid } from '../protocol/types.ts'
import {
  CLEAN_SHUTDOWN,
  formatCleanShutdown,
  formatMetaProperties,
  META_PROPERTIES,
  type MetaProperties,
  parseCleanShutdown,
  parseMetaProperties
} from './checkpoints.ts'
import type { Files } from './files.ts'
import { METADATA_TOPIC, parseDirectoryName } from './partition-names.ts'
import type { KeyStore, OpenKeyStore } from './snapshot-cache.ts'

export const BOOTSTRAP_CHECKPOINT = 'bootstrap.checkpoint'
/** Kafka takes every other directory for a partition's, and does not start on one whose name is none. */
export const STATE_DIRECTORY = path.join(`${METADATA_TOPIC}-0`, 'moldau-state')
export const LOCK_FILE = '.lock'
/** Holds the directory's id while there is no meta.properties to hold it. */
const PENDING_ID = 'moldau-directory-id'

export interface LogDirectoryOptions {
  readonly files: Files
  readonly directory: string
  readonly nodeId: BrokerId
  /** The cluster that this node was told to be of; null takes what the directory says, or a new id for an empty one. */
  readonly clusterId: string | null
  /** The cluster of a new directory is for others to name, later: nothing is formatted before. */
  readonly isOneOfSeveral?: boolean
  readonly random: { uuid(): Uuid }
  readonly clock: { nowMs(): number }
  /** Opens the cache, and with it the lock of the directory. */
  readonly openKeyStore: OpenKeyStore
  /** Bytes of bootstrap.checkpoint for a directory that is formatted now. */
  readonly bootstrapCheckpoint: () => Uint8Array
}

export interface LogDirectory {
  readonly path: string
  /** Null while the cluster's id is not known. */
  readonly meta: MetaProperties | null
  readonly directoryId: Uuid
  /** True when this start made it. */
  readonly isNew: boolean
  /** The lock of the directory is held until the store is closed. */
  readonly store: KeyStore
  /** The cluster has this id. Durable when it resolves; ERR_WRONG_DIRECTORY where the directory is another cluster's. */
  adopt(clusterId: Uuid): Promise<void>
}

/** Makes and formats the directory where it is missing or empty, locks it, and checks whose it is. */
export async function openLogDirectory(o: LogDirectoryOptions): Promise<LogDirectory> {
  const directory = path.resolve(o.directory)
  const store = await lock(o, directory)
  try {
    const found = await readMeta(o.files, directory)
    const isOneOfSeveral = o.isOneOfSeveral === true
    if (found === null) await refuseForeignContent(o.files, directory, isOneOfSeveral)
    else refuseForeignOwner(o, directory, found)
    const isNew = found === null
    if (isNew && isOneOfSeveral) return pending(o, directory, await pendingId(o, directory), store)
    const meta = found?.directoryId ? found : await format(o, directory, { found, directoryId: o.random.uuid() })
    return opened({ path: directory, meta, directoryId: meta.directoryId as Uuid, isNew, store })
  } catch (error) {
    await store.close()
    throw explained(error, directory)
  }
}

function opened(home: Omit<LogDirectory, 'adopt'> & { readonly meta: MetaProperties }): LogDirectory {
  return { ...home, adopt: async clusterId => refuseOtherCluster(home.path, home.meta.clusterId, clusterId) }
}

/** Its id is kept from the first moment on: marks beside the directory name it. */
async function pendingId(o: LogDirectoryOptions, directory: string): Promise<Uuid> {
  const file = path.join(directory, PENDING_ID)
  const text = (await o.files.readFile(file))?.toString('utf8') ?? ''
  if (/^[\w-]{22}$/.test(text)) return text
  const directoryId = o.random.uuid()
  await o.files.writeFileAtomically(file, Buffer.from(directoryId))
  return directoryId
}

function pending(o: LogDirectoryOptions, directory: string, directoryId: Uuid, store: KeyStore): LogDirectory {
  let meta: MetaProperties | null = null
  return {
    path: directory,
    get meta() {
      return meta
    },
    directoryId,
    isNew: true,
    store,
    async adopt(clusterId) {
      refuseOtherCluster(directory, meta?.clusterId ?? o.clusterId ?? clusterId, clusterId)
      if (meta !== null) return
      const made = await format({ ...o, clusterId }, directory, { found: null, directoryId })
      await o.files.unlink(path.join(directory, PENDING_ID))
      meta = made
    }
  }
}

/** Formats a directory ahead of its first start, in Kafka's way (Formatter.java): with meta.properties and
 *  bootstrap.checkpoint, and nothing else. False where it is formatted already, for this node and this cluster. */
export async function formatAhead(
  o: Omit<LogDirectoryOptions, 'openKeyStore' | 'clusterId'> & { readonly clusterId: Uuid }
): Promise<boolean> {
  const directory = path.resolve(o.directory)
  try {
    const stat = await o.files.stat(directory)
    if (stat !== null && !stat.isDirectory)
      throw new MoldauError('ERR_STORAGE', `log directory ${directory}: it is a file`)
    await o.files.mkdir(directory)
    if (stat === null) await o.files.syncDirectory(path.dirname(directory))
    const found = await readMeta(o.files, directory)
    if (found === null) await refuseForeignContent(o.files, directory, false)
    else refuseForeignOwner(o, directory, found)
    if (found?.directoryId) return false
    await format(o, directory, { found, directoryId: o.random.uuid() })
    return true
  } catch (error) {
    throw explained(error, directory)
  }
}

/** Reads and deletes the mark of a clean stop: from here on a crash is a crash. Null without one (LogManager.loadLogs). */
export async function takeCleanShutdown(files: Files, directory: string): Promise<{ brokerEpoch: number } | null> {
  const file = path.join(directory, CLEAN_SHUTDOWN)
  const bytes = await files.readFile(file)
  if (bytes === null) return null
  await files.unlink(file)
  await files.syncDirectory(directory)
  return { brokerEpoch: parseCleanShutdown(bytes.toString('utf8')) }
}

/** The last write of a clean stop. */
export function markCleanShutdown(files: Files, directory: string, brokerEpoch: number): Promise<void> {
  return files.writeFileAtomically(path.join(directory, CLEAN_SHUTDOWN), Buffer.from(formatCleanShutdown(brokerEpoch)))
}

async function lock(o: LogDirectoryOptions, directory: string): Promise<KeyStore> {
  try {
    const stat = await o.files.stat(directory)
    if (stat !== null && !stat.isDirectory)
      throw new MoldauError('ERR_STORAGE', `log directory ${directory}: it is a file`)
    const state = path.join(directory, STATE_DIRECTORY)
    await o.files.mkdir(state)
    // What lies in there is a cache: it may be opened before its directory is durable.
    const named = stat === null ? o.files.syncDirectory(path.dirname(directory)) : null
    const synced = Promise.all([named, o.files.syncDirectory(directory)])
    const [store, durable] = await Promise.allSettled([o.openKeyStore(state, path.join(directory, LOCK_FILE)), synced])
    if (store.status === 'rejected') throw store.reason
    if (durable.status === 'fulfilled') return store.value
    await store.value.close()
    throw durable.reason
  } catch (error) {
    throw explained(error, directory)
  }
}

async function readMeta(files: Files, directory: string): Promise<MetaProperties | null> {
  const file = path.join(directory, META_PROPERTIES)
  const bytes = await files.readFile(file)
  return bytes === null ? null : parseMetaProperties(bytes.toString('utf8'), file)
}

/** Records without an owner may be anybody's: a wrong path, or a meta.properties that was lost. */
async function refuseForeignContent(files: Files, directory: string, mayHoldMetadata: boolean): Promise<void> {
  for (const name of await files.readdir(directory)) {
    const partition = parseDirectoryName(name)
    if (partition === null) continue
    const isMetadata = partition.topic === METADATA_TOPIC
    if (isMetadata && mayHoldMetadata) continue
    const inside = await files.readdir(path.join(directory, name))
    if (isMetadata && inside.every(each => each === path.basename(STATE_DIRECTORY))) continue
    throw new MoldauError(
      'ERR_WRONG_DIRECTORY',
      `log directory ${directory}: it holds ${name} but no ${META_PROPERTIES}, so nobody can say whose records these are`
    )
  }
}

type Owner = Pick<LogDirectoryOptions, 'nodeId' | 'clusterId'>

function refuseForeignOwner(o: Owner, directory: string, found: MetaProperties): void {
  if (found.nodeId !== o.nodeId) {
    throw new MoldauError(
      'ERR_WRONG_DIRECTORY',
      `log directory ${directory}: it belongs to node ${found.nodeId}, this is node ${o.nodeId} (node.id)`
    )
  }
  refuseOtherCluster(directory, found.clusterId, o.clusterId ?? found.clusterId)
}

function refuseOtherCluster(directory: string, own: string, other: string): void {
  if (own === other) return
  throw new MoldauError(
    'ERR_WRONG_DIRECTORY',
    `log directory ${directory}: it belongs to cluster ${own}, this is cluster ${other}`
  )
}

/** meta.properties comes last: where it is, the rest is. A directory of Kafka before 3.7 only gets its id. */
async function format(
  o: Omit<LogDirectoryOptions, 'openKeyStore'>,
  directory: string,
  { found, directoryId }: { readonly found: MetaProperties | null; readonly directoryId: Uuid }
): Promise<MetaProperties> {
  const meta: MetaProperties = found
    ? { ...found, directoryId }
    : { version: 1, nodeId: o.nodeId, clusterId: o.clusterId ?? o.random.uuid(), directoryId, others: new Map() }
  if (found === null) {
    await o.files.writeFileAtomically(path.join(directory, BOOTSTRAP_CHECKPOINT), o.bootstrapCheckpoint())
  }
  const text = formatMetaProperties(meta, new Date(o.clock.nowMs()))
  await o.files.writeFileAtomically(path.join(directory, META_PROPERTIES), Buffer.from(text))
  return meta
}

const REASONS: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'a part of the path is a file',
  ELOOP: 'too many symbolic links',
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the disk reports an error'
}

/** Puts the directory and a plain reason in front of what the system said. */
function explained(error: unknown, directory: string): unknown {
  if (!isFailure(error) || error.message.includes(`log directory ${directory}`)) return error
  const reason = REASONS[(error.cause as { code?: string } | undefined)?.code ?? '']
  const message = `log directory ${directory}: ${reason ? `${reason} (${error.message})` : error.message}`
  return new MoldauError(error.code, message, { cause: error.cause ?? error })
}
