// ApiVersions 0-4: what this broker speaks, and the features of the cluster. A client that asks at a version that is not
// there is answered at version 0 by dispatch (KIP-511). 3 brings the client's software and features, 4 features whose
// lowest level is 0: older clients would take them for broken, so they do not see them (KAFKA-17492).
import { ErrorCode } from '../../protocol/errors.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { produce } from '../../protocol/messages/produce.ts'
import type { Api } from '../../protocol/schema.ts'
import { FEATURES } from '../../replication/controller/features.ts'
import { handler } from './handler.ts'

/** What a client may say of its software (ApiVersionsRequest.java). */
const SOFTWARE = /^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$/
const SHOWS_ZERO_MINIMUM = 4

export function apiVersionsOf(apis: () => readonly Api[]) {
  return handler(apiVersions, (request, { apiVersion, listener }, { metadata }) => {
    const isNamed = SOFTWARE.test(request.clientSoftwareName) && SOFTWARE.test(request.clientSoftwareVersion)
    if (apiVersion >= 3 && !isNamed) return { errorCode: ErrorCode.INVALID_REQUEST }
    const { features } = metadata.image
    return {
      errorCode: ErrorCode.NONE,
      apiKeys: apis()
        .filter(each => each.listeners.includes(listener))
        .map(rangeOf),
      supportedFeatures: FEATURES.filter(({ minVersion }) => minVersion > 0 || apiVersion >= SHOWS_ZERO_MINIMUM).map(
        ({ name, minVersion, maxVersion }) => ({ name, minVersion, maxVersion })
      ),
      finalizedFeaturesEpoch: metadata.endOffset - 1,
      finalizedFeatures: [...features].map(([name, level]) => ({
        name,
        minVersionLevel: level,
        maxVersionLevel: level
      }))
    }
  })
}

/** Produce is shown from 0, though 0-2 are refused: older librdkafka stops compressing otherwise (KAFKA-18659). */
function rangeOf({ key, versions: [minVersion, maxVersion] }: Api) {
  return { apiKey: key, minVersion: key === produce.key ? 0 : minVersion, maxVersion }
}
