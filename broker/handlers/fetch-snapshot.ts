// FetchSnapshot 0-1: a piece of a snapshot of the metadata, for who is too far behind for the log (KIP-630).
import { fetchSnapshot } from '../../protocol/messages/fetch-snapshot.ts'
import { handler } from './handler.ts'

export const onFetchSnapshot = handler(
  fetchSnapshot,
  (request, _context, { controller }) => controller.metadataLog.server.fetchSnapshot(request),
  true
)
