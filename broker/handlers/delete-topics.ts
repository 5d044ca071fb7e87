// DeleteTopics 1-6: by name, since 6 by id too (KIP-516). The files go later; the topic is gone when this is answered.
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { ZERO_UUID } from '../../protocol/types.ts'
import { handler } from './handler.ts'

export const onDeleteTopics = handler(deleteTopics, async (request, { apiVersion }, { controller }) => {
  const topics = apiVersion >= 6 ? request.topics : request.topicNames.map(name => ({ name, topicId: ZERO_UUID }))
  return { responses: await controller.deleteTopics(topics) }
})
