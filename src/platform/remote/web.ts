/** Files of any web server that gives ranges. */
import { CriaError } from '../../base/errors.ts';
import { missing, type Resource } from './http.ts';

export function webResource(address: string, url: URL): Resource {
  return {
    address,
    followsRedirects: true,
    request: async (headers) => ({ url, headers: new Headers(headers) }),
    refused(status) {
      if (status === 404 || status === 410) return missing(address);
      const advice =
        status === 401 || status === 403
          ? 'It is not for everybody, and Cria sends no passwords to web servers: download it, and name the file.'
          : 'Check the address.';
      return new CriaError('network.refused', `${address}: the server says ${status}. ${advice}`);
    },
  };
}
