// The epoch of this broker's registration, kept between lives (KIP-966): a broker that can say it after a crash has lost
// nothing that it had acknowledged, and keeps its place among the eligible leaders. Said only where that is so.
import path from 'node:path'
import type { Catalog } from '../storage/catalog.ts'
import type { Files } from '../storage/files.ts'

export const BROKER_EPOCH_FILE = 'moldau-broker-epoch'
const UNKNOWN = -1

/** Under page-cache a crash of this life may lose what was acknowledged, whatever policy the next one has. */
export async function storeBrokerEpoch(
  files: Files,
  directory: string,
  brokerEpoch: number,
  isSyncedBeforeAck: boolean
): Promise<void> {
  const epoch = isSyncedBeforeAck ? brokerEpoch : UNKNOWN
  await files.writeFileAtomically(path.join(directory, BROKER_EPOCH_FILE), Buffer.from(`${epoch}\n`), true)
}

/** Before any log is opened: what is suspect is copied then and its mark goes, maybe long before it could be told. */
export async function forgetIfSuspect(files: Files, catalog: Catalog): Promise<void> {
  if (catalog.hadSuspects) await storeBrokerEpoch(files, catalog.directory, UNKNOWN, false)
}

/**
 * To be asked once every log is open. Where one is damaged, something is lost. After an orderly stop the epoch is known,
 * unless that life had none: then it left everything as the one before had. After a crash it counts only under group
 * commit, where acknowledged means synced, and only if recovery found everything that was recorded as synced.
 */
export async function previousBrokerEpoch(files: Files, catalog: Catalog, isSyncedBeforeAck: boolean): Promise<number> {
  if (catalog.refusals().size > 0) return UNKNOWN
  const stopped = catalog.cleanShutdown?.brokerEpoch ?? UNKNOWN
  if (stopped !== UNKNOWN) return stopped
  if (!isSyncedBeforeAck || catalog.hadSuspects) return UNKNOWN
  const bytes = await files.readFile(path.join(catalog.directory, BROKER_EPOCH_FILE))
  const epoch = Number(bytes?.toString('latin1').trim() || Number.NaN)
  return Number.isSafeInteger(epoch) ? epoch : UNKNOWN
}
