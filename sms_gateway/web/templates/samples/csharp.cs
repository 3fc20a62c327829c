using System.Net.Http.Headers;

using var client = new HttpClient();
client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "YOUR_KEY");
var form = new FormUrlEncodedContent(new Dictionary<string, string>
{
    ["recipients"] = "0032494000000",
    ["message"] = "Hello World",
});
var answer = await client.PostAsync("{{ public_url }}/sendsms/", form);
Console.WriteLine(await answer.Content.ReadAsStringAsync());
