using System;
using System.Linq;
using System.Web.Services.Protocols;

class Client
{
    static void Main(string[] arguments)
    {
        var service = new sendSmsNow {
            Url = Environment.GetEnvironmentVariable("ENDPOINT"),
            SoapVersion = arguments[0].EndsWith("1.2")
                ? SoapProtocolVersion.Soap12 : SoapProtocolVersion.Soap11,
        };
        var key = Environment.GetEnvironmentVariable("APIKEY");
        var result = service.sendSms(
            Environment.GetEnvironmentVariable("RECIPIENTS"),
            Environment.GetEnvironmentVariable("MESSAGE"), key);
        Console.WriteLine(result.error + " " + result.sent + " " + result.id);
        var status = service.getStatus(key, result.id);
        Console.WriteLine(status.error + " "
            + string.Join(",", status.deliveries.Select(delivery => delivery.recipient)));
    }
}
