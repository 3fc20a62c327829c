using System;
using System.Runtime.Serialization;
using System.ServiceModel;
using System.ServiceModel.Channels;
using System.Text;

[ServiceContract(Namespace = "urn:sendSmsNow")]
interface ISendSmsNow
{
    [OperationContract(Action = "urn:sendSmsNow#sendSms", ReplyAction = "*")]
    [return: MessageParameter(Name = "return")]
    SendSmsResult sendSms(string recipients, string message, string apikey);
}

[DataContract(Namespace = "urn:sendSmsNow")]
class SendSmsResult
{
    [DataMember(Order = 1)] public int error;
    [DataMember(Order = 2)] public int sent;
    [DataMember(Order = 3)] public string id;
}

class Client
{
    static void Main(string[] arguments)
    {
        Binding binding = new BasicHttpBinding();
        if (arguments[0].Contains("addressing"))
            binding = new WSHttpBinding(SecurityMode.None);
        else if (arguments[0].EndsWith("1.2"))
            binding = new CustomBinding(
                new TextMessageEncodingBindingElement(MessageVersion.Soap12, Encoding.UTF8),
                new HttpTransportBindingElement());
        var service = new ChannelFactory<ISendSmsNow>(binding).CreateChannel(
            new EndpointAddress(Environment.GetEnvironmentVariable("ENDPOINT")));
        var result = service.sendSms(
            Environment.GetEnvironmentVariable("RECIPIENTS"),
            Environment.GetEnvironmentVariable("MESSAGE"),
            Environment.GetEnvironmentVariable("APIKEY"));
        Console.WriteLine(result.error + " " + result.sent + " " + result.id);
    }
}
