/** The original's endpoints for pictures, which this program does not have yet: they say so. */
import { HttpError } from './openai-errors.js';
import type { Route } from './route.js';

/** `/v1/image/generations` and `/create_animation`. */
export function mediaRoutes(): Route[] {
  const unsupported = (what: string) => (): never => {
    throw new HttpError('http-unsupported', `${what} is not supported yet`);
  };
  return [
    {
      method: 'POST',
      paths: ['/v1/image/generations'],
      access: 'local',
      handle: unsupported('image generation'),
    },
    { method: 'POST', paths: ['/create_animation'], access: 'local', handle: unsupported('animation') },
  ];
}
