/** Reads along until the server has said which ssh it is, or something that is none. Pure. */
import { LIMITS } from '../../shared/index.js';

/** One per connection. */
export class BannerWatch {
  /** `OpenSSH_9.2p1`, once it was said. */
  server: string | undefined;
  /** First line of what came instead. */
  otherSpeech: string | undefined;
  #text = '';
  #bytes = 0;

  /** Takes a piece; true as soon as the banner is complete. */
  push(chunk: Buffer): boolean {
    if (this.server !== undefined || this.#bytes > LIMITS.sshBannerBytesMax) return this.server !== undefined;
    this.#bytes += chunk.length;
    this.#text += chunk.toString('latin1').slice(0, LIMITS.sshBannerBytesMax);
    const match = /^SSH-[0-9.]+-([^\r\n]*)\r?\n/m.exec(this.#text);
    if (match !== null) {
      this.server = (match[1] ?? '').split(' ')[0] ?? '';
      this.#text = '';
      return true;
    }
    const line = this.#text.split(/\r?\n/, 1)[0] ?? '';
    if (!'SSH-'.startsWith(line.slice(0, 4))) this.otherSpeech = line.slice(0, 200);
    return false;
  }
}
