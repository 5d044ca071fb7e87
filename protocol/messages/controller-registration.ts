// ControllerRegistration, API key 70. KIP-919.

import { api, array, bool, i16, i32, text, u16, uuid } from '../schema.ts'

/** A controller registers with the active one. */
export const controllerRegistration = api({
  key: 70,
  name: 'ControllerRegistration',
  versions: [0, 0],
  flexibleFrom: 0,
  listeners: ['controller'],
  request: {
    controllerId: i32,
    incarnationId: uuid,
    zkMigrationReady: bool,
    listeners: array({
      name: text,
      host: text,
      port: u16,
      securityProtocol: i16
    }),
    features: array({
      name: text,
      minSupportedVersion: i16,
      maxSupportedVersion: i16
    })
  },
  response: {
    throttleTimeMs: i32,
    errorCode: i16,
    errorMessage: text.orNull().default(null)
  }
})
