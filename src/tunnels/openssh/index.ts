/** The driver that runs the system's ssh. The room's index and the compliance suite take it from here. */
export {
  createOpensshDriver,
  type OpensshDriverComponents,
  type OpensshDriverOptions,
} from './openssh-driver.js';
