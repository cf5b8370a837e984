using Postwright.Core.Seams;
using Postwright.Server.Queue;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// A command's whole environment (local(8)): what export_environment names, and the message's circumstances with every character
/// outside command_expansion_filter as an underscore. A fixed set of names, so nothing a stranger writes becomes a variable.
/// </summary>
internal static class CommandEnvironment
{
    /// <summary>As NAME=value, in no particular order.</summary>
    public static IReadOnlyList<string> Of(LocalContext context, UserEntry? user)
    {
        var environment = new List<string> { "PATH=/usr/bin:/bin" };
        foreach (string name in context.Options.ExportEnvironment)
        {
            string? value = name.Contains('=') ? null : Environment.GetEnvironmentVariable(name);
            if (value is not null || name.Contains('='))
            {
                environment.Add(value is null ? name : $"{name}={value}");
            }
        }

        void Set(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                environment.Add($"{name}={LocalContext.Censor(value, context.Options.CommandExpansionFilter)}");
            }
        }

        MessageOrigin origin = context.Request.Origin;
        Set("HOME", user?.Home);
        Set("SHELL", user?.Shell);
        Set("USER", context.Parts.User);
        Set("LOGNAME", context.Parts.User);
        Set("LOCAL", context.Parts.Local);
        Set("EXTENSION", context.Parts.Extension);
        Set("DOMAIN", context.Parts.Domain);
        Set("RECIPIENT", context.Recipient.Address);
        environment.Add($"SENDER={LocalContext.Censor(context.Sender, context.Options.CommandExpansionFilter)}");
        Set("ORIGINAL_RECIPIENT", context.Recipient.OriginalAddress);
        Set("ENVID", context.Request.EnvelopeId);
        Set("CLIENT_HOSTNAME", origin.ClientName);
        Set("CLIENT_ADDRESS", origin.ClientAddress);
        Set("CLIENT_HELO", origin.Helo);
        Set("CLIENT_PROTOCOL", origin.Protocol);
        return environment;
    }
}
