/* reference_folder.h: the reference model as a folder of its real size that takes no room: five files whose
 * headers list all 876 tensors and whose data is a hole. */
#ifndef FERRY_TESTS_CMD_REFERENCE_FOLDER_H
#define FERRY_TESTS_CMD_REFERENCE_FOLDER_H

/* tests: the folder tests/ of the sources. Fails the test when it cannot be made. */
void reference_folder_make(const char *folder, const char *tests);

#endif
