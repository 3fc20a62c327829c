/* A SOAP server on gSOAP, which answers and stores nothing: a thread for each connection.
   Argument: PORT. */
#include <pthread.h>
#include <signal.h>
#include "soapH.h"
#include "sendSmsNow.nsmap"

#define THREADS 40

int ns__sendSms(struct soap *soap, char *recipients, char *message, char *apikey,
                struct ns__sendSmsResponse *response)
{
  if (!recipients || !message || !apikey)
    return soap_sender_fault(soap, "incomplete", NULL);
  response->return_.error = 0;
  response->return_.sent = 1;
  response->return_.id = "0198c0de00007000800000000000abcd";
  return SOAP_OK;
}

static void *serve(void *given)
{
  struct soap *soap = soap_copy((struct soap *)given);
  while (soap_valid_socket(soap_accept(soap))) {
    soap_serve(soap);
    soap_destroy(soap);
    soap_end(soap);
  }
  return NULL;
}

int main(int count, char **arguments)
{
  struct soap *soap = soap_new1(SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING);
  pthread_t threads[THREADS];
  if (count != 2)
    return 2;
  signal(SIGPIPE, SIG_IGN);
  soap->max_keep_alive = 1000000000;
  soap->bind_flags = SO_REUSEADDR;
  soap->recv_timeout = 75;
  if (!soap_valid_socket(soap_bind(soap, "127.0.0.1", atoi(arguments[1]), 100))) {
    soap_print_fault(soap, stderr);
    return 1;
  }
  for (int n = 0; n < THREADS; n++)
    pthread_create(&threads[n], NULL, serve, soap);
  for (int n = 0; n < THREADS; n++)
    pthread_join(threads[n], NULL);
  return 0;
}
