namespace Postwright.Core.Configuration.Bounce;

/// <summary>What <c>postconf -b</c> and <c>-t</c> show.</summary>
internal static class BounceDump
{
    /// <summary>Makes the text that is shown; the answer is what is wrong with the templates, or null.</summary>
    /// <param name="configuration">main.cf.</param>
    /// <param name="path">The template file; empty for the built-in ones.</param>
    /// <param name="expands">True for the texts as they are sent, false for the templates.</param>
    /// <param name="warn">Takes what is ignored.</param>
    /// <param name="shown">The text, up to the error where there is one.</param>
    public static string? Make(MailConfiguration configuration, string path, bool expands, Action<string> warn, out string shown)
    {
        shown = "";
        BounceTemplates templates = BounceTemplates.Read(path, warn, out string? trouble);
        if (trouble is not null)
        {
            return trouble;
        }

        BounceText text = BounceText.Of(configuration);
        TimeSpan delay = configuration.GetTimes("delay_warning_time") is [TimeSpan first, ..] ? first : TimeSpan.Zero;
        foreach (BounceTemplate template in templates.All)
        {
            string separator = shown.Length > 0 ? "\n" : "";
            if (!expands)
            {
                shown += separator + template.Dump();
                continue;
            }

            if (text.Expand(template, delay, warn, out string expanded) is { } wrong)
            {
                return wrong;
            }

            shown += $"{separator}expanded_{template.Name}_text = <<EOF\n{expanded}EOF\n";
        }

        return null;
    }
}
