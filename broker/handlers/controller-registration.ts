// ControllerRegistration 0: a controller says where it is and what it supports (KIP-919).
import { controllerRegistration } from '../../protocol/messages/controller-registration.ts'
import { handler } from './handler.ts'

export const onControllerRegistration = handler(controllerRegistration, (request, _context, { controller }) =>
  controller.registerController(request)
)
