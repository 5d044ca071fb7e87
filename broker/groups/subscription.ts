// The topics that a member of a 'consumer' group subscribes to, read from the metadata that it joined with (Kafka's
// ConsumerProtocolSubscription). Every later version begins as version 0 does, so no more than that is read. The bytes
// come from clients: anything that does not fit is null, "unknown", as in ClassicGroup.computeSubscribedTopics.

export function subscribedTopicsOf(metadata: Buffer): string[] | null {
  if (metadata.length < 6 || metadata.readInt16BE(0) < 0) return null
  const count = metadata.readInt32BE(2)
  if (count < 0 || count > (metadata.length - 6) / 2) return null
  const topics: string[] = []
  let position = 6
  for (let i = 0; i < count; i++) {
    if (position + 2 > metadata.length) return null
    const length = metadata.readInt16BE(position)
    position += 2
    if (length < 0 || position + length > metadata.length) return null
    topics.push(metadata.toString('utf8', position, position + length))
    position += length
  }
  return topics
}
