// CreateTopics 2-7: by the controller; answered when the topics can be used on this broker. 5 tells the settings that
// each topic has now (KIP-525), 7 its id.
import { ErrorCode } from '../../protocol/errors.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { describeTopic } from '../config/describe.ts'
import { forwarded } from './handler.ts'

export const onCreateTopics = forwarded(
  createTopics,
  async (request, _context, { controller, config }) => {
    const topics = await controller.createTopics(request)
    return {
      topics: topics.map(({ name, topicId, errorCode, errorMessage, partitionCount, replicationFactor, configs }) => {
        if (errorCode !== ErrorCode.NONE) return { name, errorCode, errorMessage }
        const made = { name, topicId, errorCode, errorMessage, numPartitions: partitionCount, replicationFactor }
        return { ...made, configs: describeTopic(config, configs) }
      })
    }
  },
  ({ topics }, outcome) => ({ topics: topics.map(({ name }) => ({ name, ...outcome })) })
)
